package manifest

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// Bounds of an XML manifest.
const (
	maxDepth    = 32
	maxElements = 1 << 19 // that are kept
	maxText     = 16 << 10
)

// element is an element of an XML manifest.
type element struct {
	name     string // without namespace
	attrs    map[string]string
	text     string
	children []*element
}

// all returns the children of a name.
func (e *element) all(name string) (out []*element) {
	for _, c := range e.children {
		if c.name == name {
			out = append(out, c)
		}
	}
	return out
}

// readXML reads a document, without the elements that are called as skipped, which
// may be many. It knows the encodings UTF-8, UTF-16, ISO-8859-1 and US-ASCII, and no
// entities but those of XML itself: what a document type declares is passed over.
func readXML(body []byte, skipped map[string]bool) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(toUTF8(body)))
	d.CharsetReader = charset
	root := &element{}
	open := []*element{root}
	text := make([]strings.Builder, 1, maxDepth)
	for elements, skip := 0, 0; ; {
		tok, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		at := open[len(open)-1]
		switch t := tok.(type) {
		case xml.StartElement:
			if skip > 0 || skipped[t.Name.Local] {
				skip++
				continue
			}
			if elements++; len(open) > maxDepth || elements > maxElements {
				return nil, errors.New("it is larger than a manifest can be")
			}
			e := &element{name: t.Name.Local}
			if len(t.Attr) > 0 {
				e.attrs = make(map[string]string, len(t.Attr))
				for _, a := range t.Attr {
					// One with a prefix is another's, unless there is no other.
					if _, twice := e.attrs[a.Name.Local]; a.Name.Space == "" || (!twice && a.Name.Space != "xmlns") {
						e.attrs[a.Name.Local] = a.Value
					}
				}
			}
			at.children = append(at.children, e)
			open, text = append(open, e), append(text, strings.Builder{})
		case xml.EndElement:
			switch {
			case skip > 0:
				skip--
			case len(open) == 1 || at.name != t.Name.Local:
				return nil, fmt.Errorf("it ends %s where %s is open", t.Name.Local, at.name)
			default:
				at.text = strings.TrimSpace(text[len(text)-1].String())
				open, text = open[:len(open)-1], text[:len(text)-1]
			}
		case xml.CharData:
			if b := &text[len(text)-1]; skip == 0 && b.Len()+len(t) < maxText {
				b.Write(t)
			}
		}
	}
	if len(open) > 1 || len(root.children) != 1 {
		return nil, errors.New("it has not one root")
	}
	return root.children[0], nil
}

// rootName is the name of a document's root, without namespace, if its first bytes
// have it.
func rootName(start []byte) string {
	d := xml.NewDecoder(bytes.NewReader(toUTF8(start)))
	d.CharsetReader = charset
	for {
		tok, err := d.RawToken()
		if err != nil {
			return ""
		}
		if e, ok := tok.(xml.StartElement); ok {
			return e.Name.Local
		}
	}
}

// toUTF8 rewrites a document that is in UTF-16, which its byte order mark or its
// first character shows (XML 1.0, appendix F).
func toUTF8(body []byte) []byte {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(body, []byte("\xff\xfe")), bytes.HasPrefix(body, []byte("<\x00")):
		order = binary.LittleEndian
	case bytes.HasPrefix(body, []byte("\xfe\xff")), bytes.HasPrefix(body, []byte("\x00<")):
		order = binary.BigEndian
	default:
		return bytes.TrimPrefix(body, byteOrderMark)
	}
	units := make([]uint16, len(body)/2)
	for i := range units {
		units[i] = order.Uint16(body[2*i:])
	}
	return bytes.TrimPrefix([]byte(string(utf16.Decode(units))), byteOrderMark)
}

// charset reads the encodings that an XML declaration may name.
func charset(name string, in io.Reader) (io.Reader, error) {
	switch strings.ToLower(name) {
	case "utf8", "utf-8", "utf-16", "utf-16le", "utf-16be", "us-ascii", "ascii":
		return in, nil // toUTF8 has seen to UTF-16
	case "iso-8859-1", "latin1", "windows-1252":
		body, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		var out strings.Builder
		for _, c := range body {
			out.WriteRune(rune(c))
		}
		return strings.NewReader(out.String()), nil
	}
	return nil, fmt.Errorf("its encoding %q is not known", name)
}
