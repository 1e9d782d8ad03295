package routers

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"
)

// mounts return a router that has the handler shop under /shop. Their bodies, but
// for the return, are the blocks of docs/deploy.md.
var mounts = map[string]func(shop http.Handler) http.Handler{
	"gorillaMount": gorillaMount,
	"chiMount":     chiMount,
	"ginMount":     ginMount,
	"echoMount":    echoMount,
}

func gorillaMount(shop http.Handler) http.Handler {
	r := mux.NewRouter().UseEncodedPath()
	r.PathPrefix("/shop/").Handler(http.StripPrefix("/shop", shop))
	return r
}

func chiMount(shop http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Mount("/shop", http.StripPrefix("/shop", shop))
	return r
}

func ginMount(shop http.Handler) http.Handler {
	r := gin.New()
	r.Any("/shop/*path", gin.WrapH(http.StripPrefix("/shop", shop)))
	return r
}

func echoMount(shop http.Handler) http.Handler {
	e := echo.New()
	e.Any("/shop/*", echo.WrapHandler(http.StripPrefix("/shop", shop)))
	return e
}
