// Package tomlfile decodes the TOML that people write about packages, and tells them
// where a mistake is: in which line, and at which key.
//
// Keys that are not known are mistakes. It keeps no state.
package tomlfile
