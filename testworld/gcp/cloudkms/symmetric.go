package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"cloud.google.com/go/kms/apiv1/kmspb"
)

const (
	maxPlaintext = 64 * 1024
	// Of plaintext and additional data together.
	maxHSM        = 8 * 1024
	maxCiphertext = 10 * maxPlaintext
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func crc32c(data []byte) *wrapperspb.Int64Value {
	return wrapperspb.Int64(int64(crc32.Checksum(data, castagnoli)))
}

func checkCRC(field string, data []byte, sent *wrapperspb.Int64Value) error {
	if sent != nil && sent.Value != crc32c(data).Value {
		return invalid("The checksum in field %s_crc32c did not match the data in field %s.", field, field)
	}
	return nil
}

// What is before every ciphertext: it names the version, to who knows all versions.
func marker(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return append([]byte{0x0a, 0x24, 0, 0, 0, 0}, sum[:]...)
}

func (s *store) Encrypt(_ context.Context, req *kmspb.EncryptRequest) (*kmspb.EncryptResponse, error) {
	if len(req.Plaintext) > maxPlaintext || len(req.AdditionalAuthenticatedData) > maxPlaintext {
		return nil, invalid("plaintext and additional data have at most %d bytes", maxPlaintext)
	}
	if err := checkCRC("plaintext", req.Plaintext, req.PlaintextCrc32C); err != nil {
		return nil, err
	}
	aad := req.AdditionalAuthenticatedData
	err := checkCRC("additional_authenticated_data", aad, req.AdditionalAuthenticatedDataCrc32C)
	if err != nil {
		return nil, err
	}
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	version, err := s.sealing(req.Name)
	if err != nil {
		return nil, err
	}
	level := version.told.ProtectionLevel
	if level != kmspb.ProtectionLevel_SOFTWARE && len(req.Plaintext)+len(aad) > maxHSM {
		return nil, invalid("plaintext and additional data have at most %d bytes together", maxHSM)
	}
	aead, err := gcm(version.secret)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	sealed := append(marker(version.told.Name), nonce...)
	sealed = aead.Seal(sealed, nonce, req.Plaintext, aad)
	return &kmspb.EncryptResponse{
		Name:                    version.told.Name,
		Ciphertext:              sealed,
		CiphertextCrc32C:        crc32c(sealed),
		VerifiedPlaintextCrc32C: req.PlaintextCrc32C != nil,
		VerifiedAdditionalAuthenticatedDataCrc32C: req.AdditionalAuthenticatedDataCrc32C != nil,
		ProtectionLevel: level,
	}, nil
}

func (s *store) Decrypt(_ context.Context, req *kmspb.DecryptRequest) (*kmspb.DecryptResponse, error) {
	if len(req.Ciphertext) > maxCiphertext || len(req.AdditionalAuthenticatedData) > maxPlaintext {
		return nil, invalid("ciphertext or additional data too long")
	}
	if err := checkCRC("ciphertext", req.Ciphertext, req.CiphertextCrc32C); err != nil {
		return nil, err
	}
	aad := req.AdditionalAuthenticatedData
	err := checkCRC("additional_authenticated_data", aad, req.AdditionalAuthenticatedDataCrc32C)
	if err != nil {
		return nil, err
	}
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	if !keyName.MatchString(req.Name) {
		return nil, invalid("decrypt takes the name of a CryptoKey")
	}
	found, err := s.key(req.Name)
	if err != nil {
		return nil, err
	}
	if found.told.Purpose != kmspb.CryptoKey_ENCRYPT_DECRYPT {
		return nil, wrongPurpose(found)
	}
	forged := invalid("Decryption failed: verify that 'name' refers to the correct CryptoKey.")
	for number, version := range found.versions {
		mark := marker(version.told.Name)
		if len(req.Ciphertext) < len(mark) || string(req.Ciphertext[:len(mark)]) != string(mark) {
			continue
		}
		if version.told.State != kmspb.CryptoKeyVersion_ENABLED {
			return nil, notEnabled(version.told)
		}
		aead, err := gcm(version.secret)
		if err != nil {
			return nil, err
		}
		sealed := req.Ciphertext[len(mark):]
		if len(sealed) < aead.NonceSize() {
			return nil, forged
		}
		plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], aad)
		if err != nil {
			return nil, forged
		}
		return &kmspb.DecryptResponse{
			Plaintext:       plain,
			PlaintextCrc32C: crc32c(plain),
			UsedPrimary:     number+1 == found.primary,
			ProtectionLevel: version.told.ProtectionLevel,
		}, nil
	}
	return nil, forged
}

// The version that encrypts: the one that is named, or the primary one.
func (s *store) sealing(name string) (*version, error) {
	of, number, err := splitVersion(name)
	if err != nil {
		return nil, err
	}
	found, err := s.key(of)
	if err != nil {
		return nil, err
	}
	if found.told.Purpose != kmspb.CryptoKey_ENCRYPT_DECRYPT {
		return nil, wrongPurpose(found)
	}
	if number == 0 {
		number = found.primary
	}
	if number == 0 {
		return nil, fail(codes.FailedPrecondition, "CryptoKey %s has no primary version.", of)
	}
	_, version, err := s.version(versionName(of, number))
	if err == nil && version.told.State != kmspb.CryptoKeyVersion_ENABLED {
		err = notEnabled(version.told)
	}
	return version, err
}

func wrongPurpose(found *key) error {
	return fail(codes.FailedPrecondition, "CryptoKey %s has purpose %s.", found.told.Name, found.told.Purpose)
}

func gcm(secret []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, fail(codes.Internal, "%v", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fail(codes.Internal, "%v", err)
	}
	return aead, nil
}
