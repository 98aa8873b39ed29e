package stack

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

// frontDoor serves the API at the root of an address, as a custom domain name does on AWS: a request for /v1/… goes to
// the stage's address below an emulator's URL, with its path as the caller escaped it.
//
// With escapeAgain the path is escaped once more. MiniStack hands functions decoded path parameters, where AWS and
// LocalStack hand them over as the caller escaped them; what it decodes is then the caller's form again.
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
			// Opaque goes to the wire as it is; Path would be escaped anew, in Go's own form.
			r.Out.URL.Opaque = stage.Path + path
		},
		Transport: &http.Transport{
			// Answers pass as the functions made them.
			DisableCompression:  true,
			MaxIdleConnsPerHost: 64,
			// LocalStack's server hangs up after 5 s without a request, be it the moment that one is sent.
			IdleConnTimeout: 2 * time.Second,
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "the local front door got no answer from the emulator: "+err.Error(), http.StatusBadGateway)
		},
	}
}
