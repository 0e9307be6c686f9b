package main

import (
	"encoding/json"
	"io"
	"net/http"
)

// What tests ask for that the service has no method for.
func (f *front) control(w http.ResponseWriter, r *http.Request) {
	// All of it, whoever needs it: a connection that is closed with something unread is reset, and
	// the answer may be lost with it.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	switch r.Method + " " + r.URL.Path {
	case "GET /control/counts":
		json.NewEncoder(w).Encode(f.counts)
		return
	case "POST /control/counts":
		f.counts = map[string]int{}
	case "POST /control/faults":
		f.faults = nil
		err = json.Unmarshal(body, &f.faults)
	case "POST /control/state":
		asked := struct{ Name, State string }{}
		if err = json.Unmarshal(body, &asked); err == nil {
			err = f.store.force(asked.Name, asked.State)
		}
	case "POST /control/principals":
		asked := principal{}
		if err = json.Unmarshal(body, &asked); err == nil {
			err = f.accounts.add(&asked)
		}
	case "POST /control/revoke":
		f.accounts.revoke()
	case "POST /control/forget":
		f.accounts.forget()
	default:
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Write([]byte("{}"))
}
