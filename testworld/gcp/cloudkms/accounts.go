package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	scope = "https://www.googleapis.com/auth/cloud-platform"
	// Whoever has it may do everything.
	owner = "owner"
)

// principal is somebody who may do something: by a token, as a service account, or by a workload's token.
type principal struct {
	Token string `json:"token"`
	// A service account signs its tokens itself, by this key in PEM.
	Email     string `json:"email"`
	PublicKey string `json:"publicKey"`
	// What is exchanged for a token: a workload's token, or a user's refresh token.
	Subject string `json:"subject"`
	// Whether the metadata server has its tokens.
	Metadata bool `json:"metadata"`
	// How long a token that is given out is good for, in seconds. An hour if it is zero.
	Lifetime int `json:"lifetime"`
	// Everything, if there is none.
	Permissions []string `json:"permissions"`

	key *rsa.PublicKey
}

type issued struct {
	to    *principal
	until time.Time
}

type accounts struct {
	mutex      *sync.Mutex
	principals *[]*principal
	issued     map[string]issued
	// How often a token was given out.
	given *int
}

func newAccounts() accounts {
	principals := []*principal{{Token: owner}}
	return accounts{&sync.Mutex{}, &principals, map[string]issued{}, new(int)}
}

func (a *accounts) add(new *principal) error {
	if new.PublicKey != "" {
		block, _ := pem.Decode([]byte(new.PublicKey))
		if block == nil {
			return errors.New("no PEM")
		}
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return err
		}
		rsaKey, ok := key.(*rsa.PublicKey)
		if !ok {
			return errors.New("no RSA key")
		}
		new.key = rsaKey
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	*a.principals = append(*a.principals, new)
	return nil
}

// No token that was given out is good any more.
func (a *accounts) revoke() {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	clear(a.issued)
}

// Nobody is known any more but the owner.
func (a *accounts) forget() {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	*a.principals = (*a.principals)[:1]
	clear(a.issued)
}

func (a *accounts) check(r *http.Request, permission, resource string) error {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !found {
		return unauthenticated("CREDENTIALS_MISSING")
	}
	who, expired := a.find(token)
	switch {
	case expired:
		return unauthenticated("ACCESS_TOKEN_EXPIRED")
	case who == nil:
		return unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED")
	case len(who.Permissions) > 0 && !slices.Contains(who.Permissions, permission):
		return denied(permission, resource)
	}
	return nil
}

func (a *accounts) find(token string) (*principal, bool) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if issued, found := a.issued[token]; found {
		return issued.to, time.Now().After(issued.until)
	}
	for _, who := range *a.principals {
		if who.Token != "" && who.Token == token {
			return who, false
		}
		if who.key != nil && isSignedBy(who, token) {
			return who, false
		}
	}
	return nil, false
}

// Whether that is a token that a service account has signed itself: https://google.aip.dev/auth/4111.
func isSignedBy(who *principal, token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	header := struct{ Alg, Typ, Kid string }{}
	claims := struct {
		Iss, Sub, Scope, Aud string
		Iat, Exp             int64
	}{}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !decode(parts[0], &header) || !decode(parts[1], &claims) || header.Alg != "RS256" {
		return false
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if rsa.VerifyPKCS1v15(who.key, crypto.SHA256, digest[:], signature) != nil {
		return false
	}
	now := time.Now().Unix()
	fits := slices.Contains(strings.Fields(claims.Scope), scope) || claims.Aud == "https://"+domain+"/"
	return claims.Iss == who.Email && claims.Sub == who.Email && fits &&
		claims.Iat <= now+60 && claims.Exp > now && claims.Exp-claims.Iat <= 3700
}

func decode(part string, into any) bool {
	text, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(text, into) == nil
}

// The places that give tokens out.
func (a *accounts) handle(mux *http.ServeMux) {
	// Of the security token service: https://cloud.google.com/iam/docs/reference/sts/rest.
	mux.HandleFunc("POST /sts/token", func(w http.ResponseWriter, r *http.Request) {
		a.exchange(w, r, "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token")
	})
	// For users: RFC 6749, section 6.
	mux.HandleFunc("POST /oauth/token", func(w http.ResponseWriter, r *http.Request) {
		a.exchange(w, r, "refresh_token", "refresh_token")
	})
	metadata := "/computeMetadata/v1/instance/service-accounts/default/token"
	mux.HandleFunc("GET "+metadata, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata-Flavor") != "Google" {
			http.Error(w, "no Metadata-Flavor", http.StatusForbidden)
			return
		}
		w.Header().Set("Metadata-Flavor", "Google")
		a.give(w, func(who *principal) bool { return who.Metadata })
	})
	mux.HandleFunc("GET /control/tokens", func(w http.ResponseWriter, _ *http.Request) {
		a.mutex.Lock()
		defer a.mutex.Unlock()
		json.NewEncoder(w).Encode(map[string]int{"given": *a.given})
	})
}

func (a *accounts) exchange(w http.ResponseWriter, r *http.Request, grant, field string) {
	if isJSON := strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"); isJSON {
		sent := map[string]string{}
		if json.NewDecoder(r.Body).Decode(&sent) == nil {
			r.Form = map[string][]string{}
			for name, value := range sent {
				r.Form.Set(name, value)
			}
		}
	}
	subject := r.FormValue(field)
	if r.FormValue("grant_type") != grant || subject == "" {
		refuse(w, "invalid_request")
		return
	}
	a.give(w, func(who *principal) bool { return who.Subject == subject })
}

func (a *accounts) give(w http.ResponseWriter, fits func(*principal) bool) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	at := slices.IndexFunc(*a.principals, fits)
	if at < 0 {
		refuse(w, "invalid_grant")
		return
	}
	who := (*a.principals)[at]
	lifetime := who.Lifetime
	if lifetime == 0 {
		lifetime = 3600
	}
	random := make([]byte, 16)
	rand.Read(random)
	token := "ya29." + hex.EncodeToString(random)
	*a.given++
	a.issued[token] = issued{who, time.Now().Add(time.Duration(lifetime) * time.Second)}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"access_token": token, "token_type": "Bearer", "expires_in": lifetime,
		"issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
	})
}

func refuse(w http.ResponseWriter, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	json.NewEncoder(w).Encode(map[string]string{"error": code})
}
