package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"

	"google.golang.org/grpc/codes"

	"cloud.google.com/go/kms/apiv1/kmspb"
)

func (s *store) GetPublicKey(_ context.Context, req *kmspb.GetPublicKeyRequest) (*kmspb.PublicKey, error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	version, err := s.signing(req.Name)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(version.signer.Public())
	if err != nil {
		return nil, fail(codes.Internal, "%v", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return &kmspb.PublicKey{
		Pem:             string(text),
		PemCrc32C:       crc32c(text),
		Name:            version.told.Name,
		Algorithm:       version.told.Algorithm,
		ProtectionLevel: version.told.ProtectionLevel,
	}, nil
}

func (s *store) AsymmetricSign(
	_ context.Context, req *kmspb.AsymmetricSignRequest,
) (*kmspb.AsymmetricSignResponse, error) {
	if err := checkCRC("data", req.Data, req.DataCrc32C); err != nil {
		return nil, err
	}
	digest, hash := digestOf(req)
	if err := checkCRC("digest", digest, req.DigestCrc32C); err != nil {
		return nil, err
	}
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	version, err := s.signing(req.Name)
	if err != nil {
		return nil, err
	}
	scheme := schemes[version.told.Algorithm]
	input := digest
	switch {
	case len(req.Data) > 0 && digest != nil:
		return nil, invalid("data and digest are both given")
	case scheme.hash == 0:
		if digest != nil {
			return nil, invalid("%s signs data and no digests", version.told.Algorithm)
		}
		input = req.Data
	case digest == nil:
		hasher := scheme.hash.New()
		hasher.Write(req.Data)
		input = hasher.Sum(nil)
	case hash != scheme.hash || len(digest) != hash.Size():
		return nil, invalid("the digest is not one of %s", scheme.hash)
	}
	signature, err := version.signer.Sign(rand.Reader, input, scheme.opts)
	if err != nil {
		return nil, fail(codes.Internal, "%v", err)
	}
	return &kmspb.AsymmetricSignResponse{
		Signature:            signature,
		SignatureCrc32C:      crc32c(signature),
		VerifiedDigestCrc32C: req.DigestCrc32C != nil,
		VerifiedDataCrc32C:   req.DataCrc32C != nil,
		Name:                 version.told.Name,
		ProtectionLevel:      version.told.ProtectionLevel,
	}, nil
}

func digestOf(req *kmspb.AsymmetricSignRequest) ([]byte, crypto.Hash) {
	switch digest := req.Digest.GetDigest().(type) {
	case *kmspb.Digest_Sha256:
		return digest.Sha256, crypto.SHA256
	case *kmspb.Digest_Sha384:
		return digest.Sha384, crypto.SHA384
	case *kmspb.Digest_Sha512:
		return digest.Sha512, crypto.SHA512
	}
	return nil, 0
}

// A version that is named, and signs.
func (s *store) signing(name string) (*version, error) {
	of, number, err := splitVersion(name)
	if err != nil {
		return nil, err
	}
	if number == 0 {
		return nil, invalid("a CryptoKeyVersion must be named")
	}
	found, err := s.key(of)
	if err != nil {
		return nil, err
	}
	if found.told.Purpose != kmspb.CryptoKey_ASYMMETRIC_SIGN {
		return nil, wrongPurpose(found)
	}
	_, version, err := s.version(name)
	if err != nil {
		return nil, err
	}
	if version.told.State != kmspb.CryptoKeyVersion_ENABLED {
		return nil, notEnabled(version.told)
	}
	if version.signer == nil {
		return nil, fail(codes.Unimplemented, "this server does not sign by %s", version.told.Algorithm)
	}
	return version, nil
}
