package stack

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

// frontDoor serves the API at the root of an address, as a custom domain name does on AWS: a request for /v1/… goes to
// the URL of the stage at the emulator, with its path as the caller escaped it.
//
// With escapeAgain the path is escaped once more. MiniStack decodes path parameters before it passes them to functions; AWS
// and LocalStack pass them as the caller escaped them. Decoding then restores the caller's form.
func frontDoor(stage *url.URL, escapeAgain bool) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			path := r.In.URL.EscapedPath()
			if escapeAgain {
				path = strings.ReplaceAll(path, "%", "%25")
			}
			r.Out.Host = stage.Host
			r.Out.URL.Scheme = stage.Scheme
			r.Out.URL.Host = stage.Host
			// Opaque is sent unchanged; Path would be escaped again, in Go's own form.
			r.Out.URL.Opaque = stage.Path + path
		},
		Transport: &http.Transport{
			// Answers stay as the functions made them.
			DisableCompression:  true,
			MaxIdleConnsPerHost: 64,
			// LocalStack's server closes a connection after 5 s without a request, even while one is being sent.
			IdleConnTimeout: 2 * time.Second,
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "the local front door got no answer from the emulator: "+err.Error(), http.StatusBadGateway)
		},
	}
}
