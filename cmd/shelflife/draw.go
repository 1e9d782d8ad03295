package main

import (
	"image"
	"image/color"
	"math"
)

// shape returns, for a point of a picture whose shorter side goes from -1 to 1,
// how far it is from the edge of something: negative inside.
type shape func(x, y float64) float64

// layer is a shape in one colour.
type layer struct {
	shape shape
	color color.RGBA
}

// picture is layers upon a ground that blends from top to bottom.
type picture struct {
	width, height int
	top, bottom   color.RGBA
	layers        []layer
}

// draw paints p, with soft edges.
func (p picture) draw() *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, p.width, p.height))
	unit := float64(min(p.width, p.height)) / 2
	for row := range p.height {
		ground := blend(p.top, p.bottom, float64(row)/float64(p.height))
		y := (float64(row) + 0.5 - float64(p.height)/2) / unit
		for column := range p.width {
			x := (float64(column) + 0.5 - float64(p.width)/2) / unit
			c := ground
			for _, l := range p.layers {
				if covered := 0.5 - l.shape(x, y)*unit; covered > 0 {
					c = blend(c, l.color, min(covered, 1))
				}
			}
			img.SetRGBA(column, row, c)
		}
	}
	return img
}

// blend returns the colour that is the part t of the way from a to b.
func blend(a, b color.RGBA, t float64) color.RGBA {
	mix := func(a, b uint8) uint8 { return uint8(float64(a) + (float64(b)-float64(a))*t + 0.5) }
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 255}
}

// rgb is the colour 0xRRGGBB.
func rgb(hex uint32) color.RGBA {
	return color.RGBA{uint8(hex >> 16), uint8(hex >> 8), uint8(hex), 255}
}

func circle(radius float64) shape {
	return func(x, y float64) float64 { return math.Hypot(x, y) - radius }
}

// ring is a circle's line.
func ring(radius, thickness float64) shape {
	return func(x, y float64) float64 { return math.Abs(math.Hypot(x, y)-radius) - thickness/2 }
}

// box is a rectangle with round corners; width and height are halves.
func box(width, height, corner float64) shape {
	return func(x, y float64) float64 {
		dx, dy := math.Abs(x)-width+corner, math.Abs(y)-height+corner
		return math.Hypot(max(dx, 0), max(dy, 0)) + min(max(dx, dy), 0) - corner
	}
}

// polygon has n equal sides and a corner at the top.
func polygon(n int, radius float64) shape {
	sector := 2 * math.Pi / float64(n)
	return func(x, y float64) float64 {
		angle := math.Atan2(x, -y)
		angle -= sector * math.Floor(angle/sector)
		return math.Hypot(x, y)*math.Cos(angle-sector/2) - radius*math.Cos(sector/2)
	}
}

// petals is a flower of n round leaves.
func petals(n int, radius float64) shape {
	return func(x, y float64) float64 {
		angle := math.Atan2(y, x)
		return math.Hypot(x, y) - radius*(0.72+0.28*math.Cos(float64(n)*angle))
	}
}

// at moves s.
func (s shape) at(x, y float64) shape {
	return func(px, py float64) float64 { return s(px-x, py-y) }
}

// turned turns s clockwise by a number of degrees.
func (s shape) turned(degrees float64) shape {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	return func(x, y float64) float64 { return s(x*cos+y*sin, y*cos-x*sin) }
}

// without cuts t out of s.
func (s shape) without(t shape) shape {
	return func(x, y float64) float64 { return max(s(x, y), -t(x, y)) }
}

// within is what s and t have in common.
func (s shape) within(t shape) shape {
	return func(x, y float64) float64 { return max(s(x, y), t(x, y)) }
}
