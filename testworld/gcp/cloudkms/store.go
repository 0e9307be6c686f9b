package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cloud.google.com/go/kms/apiv1/kmspb"
)

// store has all key rings, and is the service.
type store struct {
	kmspb.UnimplementedKeyManagementServiceServer
	mutex sync.RWMutex
	rings map[string]*kmspb.KeyRing
	keys  map[string]*key
}

type key struct {
	told    *kmspb.CryptoKey
	primary int
	// Version 1 first.
	versions []*version
}

type version struct {
	told *kmspb.CryptoKeyVersion
	// Of those that seal.
	secret []byte
	// Of those that sign.
	signer crypto.Signer
}

func newStore() *store {
	return &store{rings: map[string]*kmspb.KeyRing{}, keys: map[string]*key{}}
}

func (s *store) CreateKeyRing(_ context.Context, req *kmspb.CreateKeyRingRequest) (*kmspb.KeyRing, error) {
	if !locationName.MatchString(req.Parent) || !idOnly.MatchString(req.KeyRingId) {
		return nil, invalid("invalid name: %s/keyRings/%s", req.Parent, req.KeyRingId)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	name := req.Parent + "/keyRings/" + req.KeyRingId
	if s.rings[name] != nil {
		return nil, fail(codes.AlreadyExists, "KeyRing %s already exists.", name)
	}
	s.rings[name] = &kmspb.KeyRing{Name: name, CreateTime: timestamppb.Now()}
	return s.rings[name], nil
}

func (s *store) CreateCryptoKey(_ context.Context, req *kmspb.CreateCryptoKeyRequest) (*kmspb.CryptoKey, error) {
	if !ringName.MatchString(req.Parent) || !idOnly.MatchString(req.CryptoKeyId) || req.CryptoKey == nil {
		return nil, invalid("invalid key: %s/cryptoKeys/%s", req.Parent, req.CryptoKeyId)
	}
	told := proto.Clone(req.CryptoKey).(*kmspb.CryptoKey)
	told.Name = req.Parent + "/cryptoKeys/" + req.CryptoKeyId
	told.Primary = nil
	told.CreateTime = timestamppb.Now()
	if told.DestroyScheduledDuration == nil {
		told.DestroyScheduledDuration = durationpb.New(30 * 24 * time.Hour)
	}
	if told.VersionTemplate == nil {
		told.VersionTemplate = &kmspb.CryptoKeyVersionTemplate{}
	}
	template := told.VersionTemplate
	if template.Algorithm == 0 && told.Purpose == kmspb.CryptoKey_ENCRYPT_DECRYPT {
		template.Algorithm = kmspb.CryptoKeyVersion_GOOGLE_SYMMETRIC_ENCRYPTION
	}
	if template.ProtectionLevel == 0 {
		template.ProtectionLevel = kmspb.ProtectionLevel_SOFTWARE
	}
	if !fits(told.Purpose, template.Algorithm) {
		return nil, invalid("algorithm %s is not for purpose %s", template.Algorithm, told.Purpose)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.rings[req.Parent] == nil {
		return nil, fail(codes.NotFound, "KeyRing %s not found.", req.Parent)
	}
	if s.keys[told.Name] != nil {
		return nil, fail(codes.AlreadyExists, "CryptoKey %s already exists.", told.Name)
	}
	made := &key{told: told}
	if !req.SkipInitialVersionCreation {
		if _, err := made.add(); err != nil {
			return nil, err
		}
		if told.Purpose == kmspb.CryptoKey_ENCRYPT_DECRYPT {
			made.primary = 1
		}
	}
	s.keys[told.Name] = made
	return made.shown(), nil
}

func (s *store) GetCryptoKey(_ context.Context, req *kmspb.GetCryptoKeyRequest) (*kmspb.CryptoKey, error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	found, err := s.key(req.Name)
	if err != nil {
		return nil, err
	}
	return found.shown(), nil
}

// UpdateCryptoKey changes the algorithm of versions to come, and nothing else.
func (s *store) UpdateCryptoKey(_ context.Context, req *kmspb.UpdateCryptoKeyRequest) (*kmspb.CryptoKey, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	found, err := s.key(req.CryptoKey.GetName())
	if err != nil {
		return nil, err
	}
	if !slices.Equal(req.UpdateMask.GetPaths(), []string{"version_template.algorithm"}) {
		return nil, invalid("the one path that this server updates is version_template.algorithm")
	}
	algorithm := req.CryptoKey.GetVersionTemplate().GetAlgorithm()
	if !fits(found.told.Purpose, algorithm) {
		return nil, invalid("algorithm %s is not for purpose %s", algorithm, found.told.Purpose)
	}
	found.told.VersionTemplate.Algorithm = algorithm
	return found.shown(), nil
}

func (s *store) UpdateCryptoKeyPrimaryVersion(
	_ context.Context, req *kmspb.UpdateCryptoKeyPrimaryVersionRequest,
) (*kmspb.CryptoKey, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	_, number, err := splitVersion(req.Name + "/cryptoKeyVersions/" + req.CryptoKeyVersionId)
	if err != nil {
		return nil, err
	}
	found, _, err := s.version(versionName(req.Name, number))
	if err != nil {
		return nil, err
	}
	if found.told.Purpose != kmspb.CryptoKey_ENCRYPT_DECRYPT {
		return nil, fail(codes.FailedPrecondition, "CryptoKey %s has no primary version.", req.Name)
	}
	found.primary = number
	return found.shown(), nil
}

// The lock is held by the caller.
func (s *store) key(name string) (*key, error) {
	if !keyName.MatchString(name) {
		return nil, invalid("invalid name: %s", name)
	}
	if found := s.keys[name]; found != nil {
		return found, nil
	}
	return nil, fail(codes.NotFound, "CryptoKey %s not found.", name)
}

func (s *store) version(name string) (*key, *version, error) {
	of, number, err := splitVersion(name)
	if err != nil {
		return nil, nil, err
	}
	found, err := s.key(of)
	if err != nil {
		return nil, nil, err
	}
	if number < 1 || number > len(found.versions) {
		return nil, nil, fail(codes.NotFound, "CryptoKeyVersion %s not found.", name)
	}
	return found, found.versions[number-1], nil
}

// A new version by the key's template.
func (k *key) add() (*version, error) {
	template := k.told.VersionTemplate
	told := &kmspb.CryptoKeyVersion{
		Name:            versionName(k.told.Name, len(k.versions)+1),
		State:           kmspb.CryptoKeyVersion_ENABLED,
		Algorithm:       template.Algorithm,
		ProtectionLevel: template.ProtectionLevel,
		CreateTime:      timestamppb.Now(),
		GenerateTime:    timestamppb.Now(),
	}
	made := &version{told: told}
	if k.told.Purpose == kmspb.CryptoKey_ENCRYPT_DECRYPT {
		made.secret = make([]byte, 32)
		rand.Read(made.secret)
	}
	if scheme, signs := schemes[template.Algorithm]; signs {
		signer, err := scheme.make()
		if err != nil {
			return nil, fail(codes.Internal, "%v", err)
		}
		made.signer = signer
	}
	k.versions = append(k.versions, made)
	return made, nil
}

// The key with its primary version, as it is told.
func (k *key) shown() *kmspb.CryptoKey {
	told := proto.Clone(k.told).(*kmspb.CryptoKey)
	if k.primary > 0 {
		told.Primary = proto.Clone(k.versions[k.primary-1].told).(*kmspb.CryptoKeyVersion)
	}
	return told
}
