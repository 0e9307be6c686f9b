package main

import (
	"context"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cloud.google.com/go/kms/apiv1/kmspb"
)

func (s *store) CreateCryptoKeyVersion(
	_ context.Context, req *kmspb.CreateCryptoKeyVersionRequest,
) (*kmspb.CryptoKeyVersion, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	found, err := s.key(req.Parent)
	if err != nil {
		return nil, err
	}
	made, err := found.add()
	if err != nil {
		return nil, err
	}
	return proto.Clone(made.told).(*kmspb.CryptoKeyVersion), nil
}

func (s *store) GetCryptoKeyVersion(
	_ context.Context, req *kmspb.GetCryptoKeyVersionRequest,
) (*kmspb.CryptoKeyVersion, error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	_, found, err := s.version(req.Name)
	if err != nil {
		return nil, err
	}
	return proto.Clone(found.told).(*kmspb.CryptoKeyVersion), nil
}

// ListCryptoKeyVersions has pages; their tokens are the number of the version that comes next.
func (s *store) ListCryptoKeyVersions(
	_ context.Context, req *kmspb.ListCryptoKeyVersionsRequest,
) (*kmspb.ListCryptoKeyVersionsResponse, error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	found, err := s.key(req.Parent)
	if err != nil {
		return nil, err
	}
	if req.Filter != "" || req.OrderBy != "" {
		return nil, fail(codes.Unimplemented, "this server has no filters and no orders")
	}
	from := 0
	if req.PageToken != "" {
		from, err = strconv.Atoi(req.PageToken)
		if err != nil || from < 0 || from > len(found.versions) {
			return nil, invalid("invalid page token")
		}
	}
	size := int(req.PageSize)
	if size <= 0 || size > 1000 {
		size = 100
	}
	to := min(from+size, len(found.versions))
	answer := &kmspb.ListCryptoKeyVersionsResponse{TotalSize: int32(len(found.versions))}
	for _, version := range found.versions[from:to] {
		told := proto.Clone(version.told).(*kmspb.CryptoKeyVersion)
		answer.CryptoKeyVersions = append(answer.CryptoKeyVersions, told)
	}
	if to < len(found.versions) {
		answer.NextPageToken = strconv.Itoa(to)
	}
	return answer, nil
}

// UpdateCryptoKeyVersion enables and disables.
func (s *store) UpdateCryptoKeyVersion(
	_ context.Context, req *kmspb.UpdateCryptoKeyVersionRequest,
) (*kmspb.CryptoKeyVersion, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	_, found, err := s.version(req.CryptoKeyVersion.GetName())
	if err != nil {
		return nil, err
	}
	if !slices.Equal(req.UpdateMask.GetPaths(), []string{"state"}) {
		return nil, invalid("the one path that this server updates is state")
	}
	usable := []kmspb.CryptoKeyVersion_CryptoKeyVersionState{
		kmspb.CryptoKeyVersion_ENABLED, kmspb.CryptoKeyVersion_DISABLED,
	}
	if !slices.Contains(usable, req.CryptoKeyVersion.State) {
		return nil, invalid("a version can't be set to %s", req.CryptoKeyVersion.State)
	}
	if !slices.Contains(usable, found.told.State) {
		return nil, fail(codes.FailedPrecondition, "%s can't go from %s to %s.",
			found.told.Name, found.told.State, req.CryptoKeyVersion.State)
	}
	found.told.State = req.CryptoKeyVersion.State
	return proto.Clone(found.told).(*kmspb.CryptoKeyVersion), nil
}

func (s *store) DestroyCryptoKeyVersion(
	_ context.Context, req *kmspb.DestroyCryptoKeyVersionRequest,
) (*kmspb.CryptoKeyVersion, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	of, found, err := s.version(req.Name)
	if err != nil {
		return nil, err
	}
	switch found.told.State {
	case kmspb.CryptoKeyVersion_ENABLED, kmspb.CryptoKeyVersion_DISABLED:
	default:
		return nil, notEnabled(found.told)
	}
	found.told.State = kmspb.CryptoKeyVersion_DESTROY_SCHEDULED
	at := time.Now().Add(of.told.DestroyScheduledDuration.AsDuration())
	found.told.DestroyTime = timestamppb.New(at)
	return proto.Clone(found.told).(*kmspb.CryptoKeyVersion), nil
}

func (s *store) RestoreCryptoKeyVersion(
	_ context.Context, req *kmspb.RestoreCryptoKeyVersionRequest,
) (*kmspb.CryptoKeyVersion, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	_, found, err := s.version(req.Name)
	if err != nil {
		return nil, err
	}
	if found.told.State != kmspb.CryptoKeyVersion_DESTROY_SCHEDULED {
		return nil, fail(codes.FailedPrecondition, "%s is not scheduled for destruction.", req.Name)
	}
	found.told.State = kmspb.CryptoKeyVersion_DISABLED
	found.told.DestroyTime = nil
	return proto.Clone(found.told).(*kmspb.CryptoKeyVersion), nil
}

// Puts a version into a state that would take days, or a key of another kind.
func (s *store) force(name, state string) error {
	value, known := kmspb.CryptoKeyVersion_CryptoKeyVersionState_value[state]
	if !known {
		return invalid("no state %s", state)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	_, found, err := s.version(name)
	if err != nil {
		return err
	}
	found.told.State = kmspb.CryptoKeyVersion_CryptoKeyVersionState(value)
	if found.told.State == kmspb.CryptoKeyVersion_DESTROYED {
		found.secret, found.signer = nil, nil
		found.told.DestroyEventTime = timestamppb.Now()
	}
	return nil
}
