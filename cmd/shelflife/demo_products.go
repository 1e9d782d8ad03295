package main

// sample is a product of the demo's catalog.
type sample struct {
	id, title, description string
	metadata               string
	validForDays           int // 0: kept forever
	pictures               []samplePicture
}

// samplePicture is an image of a sample, uploaded as a PNG or a JPEG.
type samplePicture struct {
	view string
	jpeg bool
	picture
}

// The paints of the samples.
var (
	ink    = rgb(0x22313f)
	white  = rgb(0xfdfaf3)
	sand   = rgb(0xf3e2c7)
	sky    = rgb(0xcfe8f5)
	sea    = rgb(0x2a7f9e)
	leaf   = rgb(0x4f8a4c)
	mint   = rgb(0xd6efdf)
	coral  = rgb(0xe4674f)
	rose   = rgb(0xf7d4d0)
	sun    = rgb(0xf2b632)
	lilac  = rgb(0xe2d9f3)
	plum   = rgb(0x6c4a8b)
	wood   = rgb(0xa9744a)
	shadow = rgb(0xb9a88f)
)

// samples returns the demo's catalog, in the order of the IDs.
func samples() []sample {
	front := func(w, h int, p picture) samplePicture {
		p.width, p.height = w, h
		return samplePicture{view: "front", picture: p}
	}
	photo := func(view string, w, h int, p picture) samplePicture {
		p.width, p.height = w, h
		return samplePicture{view: view, jpeg: true, picture: p}
	}
	mug := []layer{
		{ring(0.24, 0.11).at(0.50, 0.02), sea},
		{box(0.46, 0.50, 0.12), sea},
		{box(0.46, 0.07, 0.03).at(0, 0.22), white},
	}
	return []sample{
		{
			id: "bag/canvas", title: "Canvas shopper", description: "Holds a week of groceries and folds to the size of a hand.",
			metadata: `{"price":24.00,"currency":"EUR","material":"cotton","litres":18}`,
			pictures: []samplePicture{front(320, 400, picture{top: mint, bottom: white, layers: []layer{
				{ring(0.30, 0.08).at(0, -0.30), wood}, {box(0.58, 0.60, 0.06).at(0, 0.30), sand}, {petals(5, 0.26).at(0, 0.32), leaf}, {circle(0.08).at(0, 0.32), sun},
			}})},
		},
		{
			id: "ball-striped", title: "Beach ball", description: "Comes with a patch, for when the gulls have met it.",
			metadata: `{"price":9.50,"currency":"EUR","diameterCm":40}`, validForDays: 90,
			pictures: []samplePicture{front(360, 360, picture{top: sky, bottom: sand, layers: []layer{
				{box(0.45, 0.05, 0.05).at(0, 0.74), shadow}, {circle(0.66), white}, {box(0.16, 0.9, 0).turned(25).within(circle(0.66)), coral},
				{box(0.10, 0.9, 0).at(0.45, 0).turned(25).within(circle(0.66)), sea}, {box(0.10, 0.9, 0).at(-0.45, 0).turned(25).within(circle(0.66)), sun},
			}})},
		},
		{
			id: "clock-wall", title: "Wall clock", description: "Runs quietly for two years on one battery.",
			metadata: `{"price":39.90,"currency":"EUR","batteries":1}`,
			pictures: []samplePicture{front(360, 360, picture{top: lilac, bottom: white, layers: []layer{
				{circle(0.70), plum}, {circle(0.60), white}, {box(0.035, 0.20, 0.03).at(0, -0.17), ink}, {box(0.03, 0.26, 0.03).at(0, -0.24).turned(125), coral}, {circle(0.06), ink},
			}})},
		},
		{
			id: "kite-diamond", title: "Diamond kite", description: "Flies from three Beaufort.",
			metadata: `{"price":18.75,"currency":"EUR","wind":{"min":3,"max":6}}`, validForDays: 30,
			pictures: []samplePicture{front(320, 420, picture{top: sky, bottom: white, layers: []layer{
				{box(0.012, 0.40, 0.01).at(0.10, 0.85).turned(-12), ink}, {polygon(4, 0.78).at(0, -0.2), coral}, {polygon(4, 0.44).at(0, -0.2), sun}, {polygon(4, 0.18).at(0, -0.2), white},
			}})},
		},
		{
			id: "lamp-moon", title: "Moon lamp", description: "A night light with three levels of brightness.",
			metadata: `{"price":31.20,"currency":"EUR","watts":[1,3,5]}`,
			pictures: []samplePicture{
				front(360, 420, picture{top: ink, bottom: plum, layers: []layer{
					{circle(0.62).without(circle(0.52).at(0.30, -0.14)), sun}, {polygon(5, 0.09).at(0.45, -0.55), white}, {polygon(5, 0.06).at(0.66, 0.18), white}, {box(0.30, 0.06, 0.05).at(0, 0.85), wood},
				}}),
				photo("detail", 300, 300, picture{top: ink, bottom: plum, layers: []layer{
					{circle(0.9).at(-0.3, 0.3).without(circle(0.8).at(0.1, 0)), sun}, {circle(0.10).at(-0.85, 0.5), sand},
				}}),
			},
		},
		{
			id: "mug-blue", title: "Harbour mug", description: "Stoneware, glazed by hand, 350 ml.",
			metadata: `{"price":14.90,"currency":"EUR","millilitres":350,"dishwasher":true}`,
			pictures: []samplePicture{
				front(400, 320, picture{top: sand, bottom: white, layers: append([]layer{{box(0.62, 0.05, 0.05).at(0, 0.54), shadow}}, mug...)}),
				photo("table", 480, 320, picture{top: sky, bottom: sky, layers: append([]layer{{box(2, 0.6, 0).at(0, 0.95), wood}}, mug...)}),
			},
		},
		{
			id: "pillow-dots", title: "Dotted cushion", description: "The cover comes off and may be washed at 40 °C.",
			metadata: `{"price":22.00,"currency":"EUR","sizeCm":[45,45]}`,
			pictures: []samplePicture{front(360, 360, picture{top: rose, bottom: white, layers: []layer{
				{box(0.66, 0.60, 0.22), coral}, {circle(0.09), white}, {circle(0.09).at(-0.36, -0.30), white}, {circle(0.09).at(0.36, -0.30), white},
				{circle(0.09).at(-0.36, 0.30), white}, {circle(0.09).at(0.36, 0.30), white},
			}})},
		},
		{
			id: "plant-monstera", title: "Window plant", description: "Wants little: light, and a glass of water a week.",
			metadata: `{"price":27.50,"currency":"EUR","perishable":true}`, validForDays: 5,
			pictures: []samplePicture{front(320, 420, picture{top: mint, bottom: sand, layers: []layer{
				{box(0.03, 0.50, 0.02).at(0, 0.15), leaf}, {petals(3, 0.50).turned(30).at(0, -0.45), leaf}, {petals(3, 0.28).at(-0.38, 0.10), leaf},
				{petals(3, 0.28).turned(60).at(0.38, 0.02), leaf}, {box(0.36, 0.30, 0.08).at(0, 0.80), coral}, {box(0.42, 0.07, 0.05).at(0, 0.52), coral},
			}})},
		},
		{
			id: "poster-waves", title: "Poster “Waves”", description: "Printed in three colours, numbered.",
			metadata: `{"price":45.00,"currency":"EUR","edition":{"number":12,"of":200}}`,
			pictures: []samplePicture{photo("front", 320, 440, picture{top: white, bottom: shadow, layers: []layer{
				{box(0.80, 1.12, 0.02), ink}, {box(0.74, 1.06, 0), sky}, {circle(0.26).at(0.25, -0.45), sun},
				{box(0.74, 1.06, 0).within(circle(1.3).at(-0.5, 1.35)), sea}, {box(0.74, 1.06, 0).within(circle(1.2).at(0.7, 1.65)), plum},
			}})},
		},
		{
			id: "soap-lemon", title: "Lemon soap", description: "Made in small batches, wrapped in paper.",
			metadata: `{"price":5.80,"currency":"EUR","grams":110}`, validForDays: 365,
			pictures: []samplePicture{front(400, 300, picture{top: white, bottom: mint, layers: []layer{
				{box(0.72, 0.40, 0.18).at(0.03, 0.06), shadow}, {box(0.72, 0.40, 0.18), sun}, {petals(8, 0.26), white}, {circle(0.06), sun},
			}})},
		},
		{
			id: "tea tin №7", title: "Tea tin", description: "A black tea with bergamot; the ID shows that a product may be called anything.",
			metadata: `{"price":12.30,"currency":"EUR","grams":125}`, validForDays: 180,
			pictures: []samplePicture{front(300, 400, picture{top: sand, bottom: rose, layers: []layer{
				{box(0.46, 0.62, 0.08).at(0, 0.20), leaf}, {box(0.50, 0.10, 0.05).at(0, -0.46), ink}, {polygon(6, 0.30).at(0, 0.22), white}, {petals(6, 0.18).at(0, 0.22), coral},
			}})},
		},
		{
			id: "umbrella-red", title: "Storm umbrella", description: "Turns inside out and back again.",
			metadata: `{"price":34.00,"currency":"EUR","ribs":8,"windKmh":110}`,
			pictures: []samplePicture{front(360, 400, picture{top: sky, bottom: lilac, layers: []layer{
				{box(0.03, 0.55, 0.02).at(0, 0.25), ink}, {ring(0.14, 0.06).at(0.14, 0.78).within(box(0.3, 0.2, 0).at(0.14, 0.96)), ink},
				{circle(0.76).within(box(0.8, 0.4, 0).at(0, -0.4)), coral}, {polygon(3, 0.20).at(0, -0.10), rose},
			}})},
		},
	}
}
