// Package abuse holds the proof that no client, with a key or without, takes the
// memory, the disk or the files of a server from the others: shelflife serve runs
// as a container has it, in little memory and with few files, and clients do to it
// what they must not be able to, over HTTP/1 and HTTP/2, while another account
// goes on with its work. What the server takes meanwhile is printed, and bounded.
package abuse
