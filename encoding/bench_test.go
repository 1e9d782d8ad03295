package encoding

import "testing"

func BenchmarkAppendRecord(b *testing.B) {
	r := benchRecord()
	buf := AppendRecord(nil, r)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendRecord(buf[:0], r)
	}
}

func BenchmarkDecodeRecord(b *testing.B) {
	benchDecode(b, DecodeRecord)
}

func BenchmarkDecodeRecordAliasing(b *testing.B) {
	benchDecode(b, DecodeRecordAliasing)
}

func benchDecode(b *testing.B, decode func([]byte, *Record) error) {
	data := AppendRecord(nil, benchRecord())
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	var r Record
	for b.Loop() {
		if err := decode(data, &r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPeekRecord(b *testing.B) {
	data := AppendRecord(nil, benchRecord())
	for b.Loop() {
		if _, err := PeekRecord(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendProductKey(b *testing.B) {
	var buf []byte
	for b.Loop() {
		buf = AppendProductKey(buf[:0], "acme/eu", "shirt-42")
	}
}

func BenchmarkDecodeProductKey(b *testing.B) {
	key := AppendProductKey(nil, "acme/eu", "shirt-42")
	for b.Loop() {
		if _, _, err := DecodeProductKey(key); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendKeyID(b *testing.B) {
	key := AppendProductKey(nil, "acme/eu", "shirt-42")
	start, _ := ProductRange("acme/eu")
	var buf []byte
	for b.Loop() {
		var err error
		if buf, err = AppendKeyID(buf[:0], key, len(start)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScopeOf(b *testing.B) {
	key := AppendProductKey(nil, "acme/eu", "shirt-42")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := ScopeOf(key); !ok {
			b.Fatal("not a key")
		}
	}
}

func BenchmarkBlobHeader(b *testing.B) {
	var h BlobHeader
	buf := AppendBlobHeader(nil, ownedHeader())
	b.ReportAllocs()
	for b.Loop() {
		if err := DecodeBlobHeader(buf, &h); err != nil {
			b.Fatal(err)
		}
		buf = AppendBlobHeader(buf[:0], &h)
	}
}
