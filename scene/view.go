package scene

import "math"

// near is the distance in metres before the camera at which everything is cut off.
const near = 0.6

// vec is a point in metres; in world coordinates x points to the right of the street, y
// up and z along it, in camera coordinates to the right, up from the ground and forward.
type vec struct{ x, y, z float64 }

// view is the camera of one frame: a pinhole at height h above the road that looks along
// the street, turned right by the yaw. The pitch is a shift of the horizon (as with a
// shift lens), which keeps upright edges upright and rows at one depth.
type view struct {
	x, h, z  float64 // metres, world
	sin, cos float64 // of the yaw
	f        float64 // focal length in pixels
	cx       float64 // principal column in pixels
	horizon  float64 // row in pixels
}

// The explicit conversions below forbid fused multiply-add, so that all processors
// compute the same numbers.

// toCamera turns world coordinates into camera coordinates.
func (v *view) toCamera(p vec) vec {
	dx, dz := p.x-v.x, p.z-v.z
	return vec{
		x: float64(dx*v.cos) - float64(dz*v.sin),
		y: p.y,
		z: float64(dx*v.sin) + float64(dz*v.cos),
	}
}

// project turns camera coordinates, at least near away, into a point of the picture.
func (v *view) project(c vec) point {
	s := v.f / c.z
	x := v.cx + float64(c.x*s)
	y := v.horizon + float64((v.h-c.y)*s)
	const limit = 1 << 22
	return point{
		x: int32(math.Floor(min(max(x*16, -limit), limit) + 0.5)),
		y: int32(math.Floor(min(max(y*16, -limit), limit) + 0.5)),
	}
}

// outline projects a convex polygon in camera coordinates, cut at the near plane, into
// out and returns the part that is in use; fewer than three points mean nothing is seen.
func (v *view) outline(poly []vec, out *[12]point) []point {
	n := 0
	prev := poly[len(poly)-1]
	for _, q := range poly {
		if (prev.z >= near) != (q.z >= near) {
			t := (near - prev.z) / (q.z - prev.z)
			out[n] = v.project(vec{
				prev.x + float64(t*(q.x-prev.x)), prev.y + float64(t*(q.y-prev.y)), near,
			})
			n++
		}
		if q.z >= near {
			out[n] = v.project(q)
			n++
		}
		prev = q
	}
	if n < 3 {
		return nil
	}
	return out[:n]
}

// fillPoly paints a convex polygon of at most eight corners in camera coordinates.
func (s *Scene) fillPoly(poly []vec, px uint64) {
	var out [12]point
	if p := s.view.outline(poly, &out); p != nil {
		s.fill(p, px)
	}
}

// rowDepth is how far away the plane at height y lies in a row below the horizon.
func (v *view) rowDepth(row int, y float64) float64 {
	return float64(v.f*(v.h-y)) / (float64(row) + 0.5 - v.horizon)
}

// texturePlane maps the ground to texture coordinates: u = ux*x + uz*z + u0, in texels.
type texturePlane struct{ ux, uz, u0, vx, vz, v0 float64 }

// row specialises the plane for a row at depth z, starting at the given column.
func (v *view) row(tp *texturePlane, z float64, column int) groundRow {
	xc := (float64(column) + 0.5 - v.cx) * z / v.f
	wx := v.x + xc*v.cos + z*v.sin
	wz := v.z - xc*v.sin + z*v.cos
	dx, dz := v.cos*z/v.f, -v.sin*z/v.f
	return groundRow{
		u: fixed(tp.ux*wx + tp.uz*wz + tp.u0), v: fixed(tp.vx*wx + tp.vz*wz + tp.v0),
		du: fixed(tp.ux*dx + tp.uz*dz), dv: fixed(tp.vx*dx + tp.vz*dz),
	}
}

// fixed converts to 16.16, wrapping around.
func fixed(x float64) uint32 { return uint32(int64(x * 65536)) }

// groundPoly projects a polygon that lies flat at height y and scans it.
func (s *Scene) groundPoly(corners []vec) (y0, y1 int) {
	var cam [8]vec
	for i, c := range corners {
		cam[i] = s.view.toCamera(c)
	}
	var out [12]point
	p := s.view.outline(cam[:len(corners)], &out)
	if p == nil {
		return 0, 0
	}
	return s.scan(p)
}
