package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"strings"

	"cloud.google.com/go/kms/apiv1/kmspb"
)

type algorithm = kmspb.CryptoKeyVersion_CryptoKeyVersionAlgorithm

// How a kind of pair signs.
type scheme struct {
	// Nothing for Ed25519, which signs messages.
	hash crypto.Hash
	opts crypto.SignerOpts
	make func() (crypto.Signer, error)
}

var schemes = map[algorithm]scheme{
	kmspb.CryptoKeyVersion_RSA_SIGN_PKCS1_2048_SHA256: pkcs1(2048, crypto.SHA256),
	kmspb.CryptoKeyVersion_RSA_SIGN_PKCS1_3072_SHA256: pkcs1(3072, crypto.SHA256),
	kmspb.CryptoKeyVersion_RSA_SIGN_PKCS1_4096_SHA256: pkcs1(4096, crypto.SHA256),
	kmspb.CryptoKeyVersion_RSA_SIGN_PKCS1_4096_SHA512: pkcs1(4096, crypto.SHA512),
	kmspb.CryptoKeyVersion_RSA_SIGN_PSS_2048_SHA256:   pss(2048, crypto.SHA256),
	kmspb.CryptoKeyVersion_RSA_SIGN_PSS_3072_SHA256:   pss(3072, crypto.SHA256),
	kmspb.CryptoKeyVersion_RSA_SIGN_PSS_4096_SHA256:   pss(4096, crypto.SHA256),
	kmspb.CryptoKeyVersion_RSA_SIGN_PSS_4096_SHA512:   pss(4096, crypto.SHA512),
	kmspb.CryptoKeyVersion_EC_SIGN_P256_SHA256:        ec(elliptic.P256(), crypto.SHA256),
	kmspb.CryptoKeyVersion_EC_SIGN_P384_SHA384:        ec(elliptic.P384(), crypto.SHA384),
	kmspb.CryptoKeyVersion_EC_SIGN_ED25519: {0, crypto.Hash(0), func() (crypto.Signer, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}},
}

func pkcs1(bits int, hash crypto.Hash) scheme {
	return scheme{hash, hash, rsaKey(bits)}
}

func pss(bits int, hash crypto.Hash) scheme {
	return scheme{hash, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}, rsaKey(bits)}
}

func rsaKey(bits int) func() (crypto.Signer, error) {
	return func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, bits) }
}

func ec(curve elliptic.Curve, hash crypto.Hash) scheme {
	return scheme{hash, hash, func() (crypto.Signer, error) {
		return ecdsa.GenerateKey(curve, rand.Reader)
	}}
}

// Whether keys of a purpose may be of that algorithm. Of those that this server has no use for, keys can
// be made as well, so that they can be refused.
func fits(purpose kmspb.CryptoKey_CryptoKeyPurpose, algorithm algorithm) bool {
	name := algorithm.String()
	switch purpose {
	case kmspb.CryptoKey_ENCRYPT_DECRYPT:
		return name == "GOOGLE_SYMMETRIC_ENCRYPTION" || name == "EXTERNAL_SYMMETRIC_ENCRYPTION"
	case kmspb.CryptoKey_ASYMMETRIC_SIGN:
		return strings.Contains(name, "_SIGN_")
	case kmspb.CryptoKey_ASYMMETRIC_DECRYPT:
		return strings.HasPrefix(name, "RSA_DECRYPT_")
	case kmspb.CryptoKey_MAC:
		return strings.HasPrefix(name, "HMAC_")
	case kmspb.CryptoKey_RAW_ENCRYPT_DECRYPT:
		return strings.HasPrefix(name, "AES_")
	}
	return false
}
