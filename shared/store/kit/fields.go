package kit

import (
	"cmp"
	"time"
)

// Fields converts the fields of a value to attributes of an item, or back. So code that
// pairs each field with its attribute once does both.
type Fields struct {
	Reader Reader // of the item
	loads  bool
}

// Store returns the Fields that store a value in an item.
func Store(it Item) *Fields { return &Fields{Reader: Reader{It: it}} }

// Load returns the Fields that read a value from an item. Call Done at the end.
func Load(it Item) *Fields { return &Fields{Reader{It: it}, true} }

// Text converts a text.
func (f *Fields) Text(name string, v *string) {
	if f.loads {
		*v = f.Reader.Text(name)
	} else {
		f.Reader.It.Text(name, *v)
	}
}

// Int converts a whole number.
func (f *Fields) Int(name string, v *int64) {
	if f.loads {
		*v = f.Reader.Int(name)
	} else {
		f.Reader.It.Int(name, *v)
	}
}

// Count converts an int.
func (f *Fields) Count(name string, v *int) {
	n := int64(*v)
	f.Int(name, &n)
	*v = int(n)
}

// Time converts a time, in milliseconds.
func (f *Fields) Time(name string, v *time.Time) {
	if f.loads {
		*v = f.Reader.Time(name)
	} else {
		f.Reader.It.Time(name, *v)
	}
}

// Seconds converts a time, in seconds.
func (f *Fields) Seconds(name string, v *time.Time) {
	if f.loads {
		*v = f.Reader.Seconds(name)
	} else {
		f.Reader.It.Seconds(name, *v)
	}
}

// Bool converts a flag.
func (f *Fields) Bool(name string, v *bool) {
	if f.loads {
		*v = f.Reader.Bool(name)
	} else {
		f.Reader.It.Bool(name, *v)
	}
}

// Bytes converts bytes.
func (f *Fields) Bytes(name string, v *[]byte) {
	if f.loads {
		*v = f.Reader.Bytes(name)
	} else {
		f.Reader.It.Bytes(name, *v)
	}
}

// Texts converts a map of texts.
func (f *Fields) Texts(name string, v *map[string]string) {
	if f.loads {
		*v = f.Reader.Texts(name)
	} else {
		f.Reader.It.Texts(name, *v)
	}
}

// List converts a list of values, each to an item inside the item, by their fields.
func List[T any](f *Fields, name string, values *[]T, fields func(*Fields, *T)) {
	if f.loads {
		for _, it := range f.Reader.Items(name) {
			var v T
			inner := Load(it)
			fields(inner, &v)
			*values = append(*values, v)
			f.Reader.Err = cmp.Or(f.Reader.Err, inner.Reader.Err)
		}
		return
	}
	items := make([]Item, len(*values))
	for i, v := range *values {
		items[i] = Item{}
		fields(Store(items[i]), &v)
	}
	f.Reader.It.Items(name, items)
}
