package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
)

// place is how far an import has come: the last row that was dealt with, and what it
// was, so that a feed that has changed is noticed.
type place struct {
	path string
	Row  int    `json:"row"`
	SKU  string `json:"sku"`
}

// load reads the place of an import that was stopped; without one it is the start.
func (p *place) load() error {
	text, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(text, p)
}

// save writes the place, whole or not at all.
func (p *place) save() error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(p.path+".new", p.path)
}

// remove forgets the place of an import that is done.
func (p *place) remove() error {
	err := os.Remove(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
