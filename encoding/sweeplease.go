package encoding

// SweepLeaseName is the name of the meta entry that holds the [SweepLease].
const SweepLeaseName = "sweeper"

// SweepLease says which of the processes that share a store sweeps it: that which
// drew the number Holder, to the time Until, in Unix milliseconds.
type SweepLease struct {
	Holder uint64
	Until  int64
}

// AppendSweepLease appends the encoding of l to dst.
func AppendSweepLease(dst []byte, l SweepLease) []byte {
	return appendArray(dst, nil, Schema, l.Holder, l.Until)
}

// DecodeSweepLease returns the lease in data. It fails with [ErrCorrupt] or
// [ErrNewerSchema].
func DecodeSweepLease(data []byte) (l SweepLease, err error) {
	const kind = "sweep lease"
	if err := checkSchema(data, kind); err != nil {
		return SweepLease{}, err
	}
	var schema int
	if _, err := decodeArray(data, kind, &schema, &l.Holder, &l.Until); err != nil {
		return SweepLease{}, err
	}
	return l, nil
}
