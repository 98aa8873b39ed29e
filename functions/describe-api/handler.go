package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

type handler struct {
	contract []byte // the OpenAPI document
	once     sync.Once
	routes   []route
	broken   error
}

// route is a path of the contract and its methods.
type route struct {
	segments []string
	methods  []string
}

// health says that the API answers. It asks nothing of AWS.
func (h *handler) health(context.Context, *httpapi.Request) (*httpapi.Response, error) {
	return httpapi.JSON(http.StatusOK, map[string]string{"status": "ok"}), nil
}

// openAPI is the contract itself.
func (h *handler) openAPI(context.Context, *httpapi.Request) (*httpapi.Response, error) {
	return &httpapi.Response{Status: http.StatusOK, Body: h.contract}, nil
}

// unknown answers what no route does: fault.MethodNotAllowed with the methods
// that the path has, else fault.NotFound.
func (h *handler) unknown(_ context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	if h.once.Do(h.index); h.broken != nil {
		return nil, h.broken
	}
	path := segments(req.Path())
	for _, r := range h.routes {
		// A route that has the method would have answered: this is not its path.
		if r.matches(path) && !slices.Contains(r.methods, req.Method()) {
			return nil, &fault.Error{
				Kind: fault.MethodNotAllowed, Allow: r.methods,
				Message: fmt.Sprintf("%s is not a method of this resource; it has %s.", req.Method(), strings.Join(r.methods, ", ")),
			}
		}
	}
	return nil, fault.New(fault.NotFound, "There is no such resource.")
}

// index reads the routes out of the contract, so that they stand in one place.
func (h *handler) index() {
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(h.contract, &doc); err != nil {
		h.broken = fmt.Errorf("reading the contract: %w", err)
		return
	}
	// In order, so that a literal segment comes before a parameter.
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		item, r := doc.Paths[path], route{segments: segments(path)}
		for _, m := range []string{"get", "post", "put", "patch", "delete"} {
			if _, ok := item[m]; ok {
				r.methods = append(r.methods, strings.ToUpper(m))
			}
		}
		h.routes = append(h.routes, r)
	}
}

// segments are what stands between the slashes of a path, with an empty one
// behind a trailing slash: with one it is another path.
func segments(path string) []string { return strings.Split(strings.TrimPrefix(path, "/"), "/") }

func (r route) matches(path []string) bool {
	return slices.EqualFunc(r.segments, path, func(segment, value string) bool {
		return segment == value || strings.HasPrefix(segment, "{") && value != ""
	})
}
