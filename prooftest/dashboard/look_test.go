package dashboard

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLook(t *testing.T) {
	s := demo(t)
	for name, l := range map[string]look{"desktop": desktop, "desktop-dark": desktop.inDark(), "phone": phone, "phone-dark": phone.inDark()} {
		b := open(t, l)
		b.goTo(s.url)
		b.shoot("signin-"+name, false)
		s.signIn(b)
		require.Equal(t, "Products", b.text("h1"))
		b.shoot("list-"+name, true)
		b.goTo(s.url + "product?id=mug-blue")
		b.shoot("product-"+name, true)
		b.goTo(s.url + "edit?id=mug-blue")
		b.shoot("edit-"+name, true)
		b.goTo(s.url + "delete?id=mug-blue")
		b.shoot("delete-"+name, true)
		b.goTo(s.url + "?q=zz")
		b.shoot("nothing-"+name, true)
		b.goTo(s.url + "new")
		b.shoot("new-"+name, true)
		b.goTo(s.url + "product?id=nope")
		b.shoot("failure-"+name, true)
	}
}
