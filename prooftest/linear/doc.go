// Package linear holds the proof that every product behaves as if the calls on
// it took effect one after the other, each at an instant between its call and
// its return: clients run at random on a few products, and porcupine looks for
// such an order. The passing of time is one of the operations, so expiry is
// judged like everything else.
//
// What a use answers and what it does are two operations of the model: a use
// shows the product as it was at one instant of the call and moves its
// lifetime at another. An edit may come between. A touch is two likewise, and does
// not tell when it was, nor which product it found: the model follows every
// possibility.
package linear
