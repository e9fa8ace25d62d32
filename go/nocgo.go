//go:build !cgo

// Package karakp2p wraps a C library: without cgo there is nothing to build.
package karakp2p

var _ = karakp2p_wraps_a_C_library__build_with_CGO_ENABLED_1_and_a_C_compiler
