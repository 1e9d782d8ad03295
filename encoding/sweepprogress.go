package encoding

// SweepProgressName is the name of the meta entry that holds the
// [SweepProgress].
const SweepProgressName = "sweep"

// SweepProgress is how far the sweeper has come, in Unix milliseconds; the
// fields are those of the sweeper's own progress.
type SweepProgress struct {
	SweptTo, Seen, DoubtSince, DoubtSeen int64
}

// AppendSweepProgress appends the encoding of p to dst.
func AppendSweepProgress(dst []byte, p SweepProgress) []byte {
	return appendArray(dst, nil, Schema, p.SweptTo, p.Seen, p.DoubtSince, p.DoubtSeen)
}

// DecodeSweepProgress returns the progress in data. It fails with [ErrCorrupt] or
// [ErrNewerSchema].
func DecodeSweepProgress(data []byte) (p SweepProgress, err error) {
	const kind = "sweep progress"
	if err := checkSchema(data, kind); err != nil {
		return SweepProgress{}, err
	}
	var schema int
	if _, err := decodeArray(data, kind, &schema, &p.SweptTo, &p.Seen, &p.DoubtSince, &p.DoubtSeen); err != nil {
		return SweepProgress{}, err
	}
	return p, nil
}
