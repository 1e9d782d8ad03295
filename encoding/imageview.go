package encoding

// An ImageView reads an image of a record where its encoding is: all that it
// returns is a part of those bytes, as with [RecordView].
type ImageView struct {
	url, classifications []byte
	// upload are the elements from the blob to the hash, nil where they say nothing, as
	// those of an image that is no more than a URL.
	upload []byte
}

// An Upload is what an [Image] has beside its URL and classifications, but for its
// hash.
type Upload struct {
	Blob          BlobID
	ContentType   []byte
	Size          int64
	Width, Height int
}

// uploadElements is how many elements ImageView.upload has.
const uploadElements = 6

// URL is as in [Image].
func (v *ImageView) URL() []byte { return v.url }

// Classifications is as in [Image].
func (v *ImageView) Classifications() []byte { return v.classifications }

// URLOnly reports whether the image says nothing that an Upload is for.
func (v *ImageView) URLOnly() bool { return v.upload == nil }

// Upload returns the zero Upload for an image that is a URL only.
func (v *ImageView) Upload() (u Upload) {
	in := reader{data: v.upload}
	if v.URLOnly() {
		return u
	}
	in.bin(u.Blob[:], "image blob")
	u.ContentType = in.str("image content type")
	u.Size = in.int("image size")
	u.Width = in.smallInt("image width")
	u.Height = in.smallInt("image height")
	return u
}

// NextView is Next for callers that look at little of an image.
func (s *Images) NextView(v *ImageView) bool {
	if s.Len() == 0 {
		return false
	}
	s.left--
	in := &s.in
	n := in.arrayLen("image")
	if n < imageElements {
		in.fail("number of an image's elements")
		return false
	}
	v.url = in.str("image URL")
	if in.takeURLOnly() {
		v.upload = nil
	} else {
		v.upload = in.elements(uploadElements, "image upload")
	}
	v.classifications = decodeJSON(in, "image classifications")
	if n > imageElements {
		in.elements(n-imageElements, "unknown elements of an image")
	}
	return in.bad == ""
}
