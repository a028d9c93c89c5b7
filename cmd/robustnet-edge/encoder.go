//go:build !openh264

package main

// encoder is the library that makes H.264.
const encoder = "x264"
