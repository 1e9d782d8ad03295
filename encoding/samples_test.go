package encoding

import (
	"encoding/binary"
	"math"
)

var (
	sampleBlob = BlobID{0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0xff}
	sampleHash = [32]byte{0: 0xde, 1: 0xad, 30: 0xbe, 31: 0xef}
)

func minimalRecord() *Record {
	return &Record{LastUsedAt: None, IndexedAt: None, Account: "a", ID: "1"}
}

func fullRecord() *Record {
	return &Record{
		Listed: true, Generated: true,
		Incarnation: 0x0123456789abcdef, Edit: math.MaxUint64, Revision: 7,
		CreatedAt: 1_747_130_400_000, UpdatedAt: 1_747_130_400_001, LastUsedAt: 1_747_130_400_002,
		Anchor: 1_747_130_400_003, IndexedAt: 1_749_722_400_003, ValidForDays: 30,
		FeedPosition: 0x0102030405060708,
		Account:      "acme/eu", ID: "shirt-42", Title: "Red tee", Description: "Soft cotton, größer",
		Images: []Image{
			{URL: "https://cdn.example/front.jpg", Classifications: []byte(`{"view":"front"}`)},
			{
				Blob: sampleBlob, ContentType: "image/png", Size: 48211, Width: 800, Height: 1200,
				SHA256: sampleHash,
			},
		},
		Metadata: []byte(`{"price":19.90}`),
	}
}

// sealed gives the record in data, which was changed, the checksum of its bytes.
func sealed(data []byte) []byte {
	binary.BigEndian.PutUint32(data[offChecksum+1:], recordSum(data))
	return data
}

func ownedHeader() *BlobHeader {
	return &BlobHeader{
		State: BlobOwned, Owner: "shirt-42", Incarnation: 0x0123456789abcdef, Deadline: None,
		Size: 600_000, ChunkSize: 262_144, Chunks: 3, SHA256: sampleHash,
		Kind: "image/png", Width: 800, Height: 1200,
	}
}

func stagedHeader() *BlobHeader {
	return &BlobHeader{State: BlobStaged, Deadline: 1_747_130_400_000, ChunkSize: 262_144}
}

func sampleMeta() *StoreMeta {
	return &StoreMeta{
		StoreID: [16]byte(sampleBlob), CreatedAt: 1_747_130_400_000,
		Schema: 1, MinReader: 1, MinWriter: 1, Shards: 1,
		Epoch: 0xfedcba9876543210, Secret: sampleSecret(), Partition: PartitionAccount, Parts: 16,
	}
}

func sampleSecret() (s Secret) {
	for i := range s {
		s[i] = byte(0xa0 + 3*i)
	}
	return s
}

var sampleLease = SweepLease{Holder: 1 << 63, Until: 1_747_130_400_000}

var sampleProgress = SweepProgress{SweptTo: 1_747_130_400_000, Seen: 1_747_130_400_001, DoubtSince: 0, DoubtSeen: -1}

// benchRecord is a product of about 1.1 KB with four images.
func benchRecord() *Record {
	r := fullRecord()
	r.Description = string(make([]byte, 340))
	r.Metadata = append(append([]byte(`{"x":"`), make([]byte, 60)...), `"}`...)
	r.Images = nil
	for range 4 {
		r.Images = append(r.Images, Image{
			URL:             "https://cdn.example.com/products/shirt-42/views/front-large.jpg?v=20250513",
			Classifications: []byte(`{"view":"front","background":"white","confidence":0.98}`),
		})
	}
	return r
}
