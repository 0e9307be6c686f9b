package main

import (
	"regexp"
	"strconv"
	"strings"
)

const id = `[a-zA-Z0-9_-]{1,63}`

var (
	locationName = regexp.MustCompile(`^projects/[^/]+/locations/[^/]+$`)
	ringName     = regexp.MustCompile(`^projects/[^/]+/locations/[^/]+/keyRings/` + id + `$`)
	keyName      = regexp.MustCompile(`^projects/[^/]+/locations/[^/]+/keyRings/` + id +
		`/cryptoKeys/` + id + `$`)
	idOnly = regexp.MustCompile(`^` + id + `$`)
)

// The name of the key and the number of its version; zero where there is none.
func splitVersion(name string) (string, int, error) {
	key, number, found := strings.Cut(name, "/cryptoKeyVersions/")
	if !keyName.MatchString(key) {
		return "", 0, invalid("invalid name: %s", name)
	}
	if !found {
		return key, 0, nil
	}
	version, err := strconv.Atoi(number)
	if err != nil || version < 1 || strconv.Itoa(version) != number {
		return "", 0, invalid("invalid name: %s", name)
	}
	return key, version, nil
}

func versionName(key string, version int) string {
	return key + "/cryptoKeyVersions/" + strconv.Itoa(version)
}
