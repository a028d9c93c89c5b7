package torch

// Operands are broadcast: dimensions count from the last, and one of 1 is repeated.

// Add returns a + b.
func (s *Scope) Add(a, b *Tensor) *Tensor { return s.Call("add.Tensor", a, b) }

// Sub returns a - b.
func (s *Scope) Sub(a, b *Tensor) *Tensor { return s.Call("sub.Tensor", a, b) }

// Mul returns a · b, element by element.
func (s *Scope) Mul(a, b *Tensor) *Tensor { return s.Call("mul.Tensor", a, b) }

// Div returns a / b, element by element; of integers, too, as floats.
func (s *Scope) Div(a, b *Tensor) *Tensor { return s.Call("div.Tensor", a, b) }

// AddScalar returns x + v.
func (s *Scope) AddScalar(x *Tensor, v float64) *Tensor { return s.Call("add.Scalar", x, v) }

// MulScalar returns x · v.
func (s *Scope) MulScalar(x *Tensor, v float64) *Tensor { return s.Call("mul.Scalar", x, v) }

// Abs returns |x|.
func (s *Scope) Abs(x *Tensor) *Tensor { return s.Call("abs", x) }

// Sqrt returns the square root; of negative elements, NaN.
func (s *Scope) Sqrt(x *Tensor) *Tensor { return s.Call("sqrt", x) }

// ClampMin returns max(x, low).
func (s *Scope) ClampMin(x *Tensor, low float64) *Tensor { return s.Call("clamp_min", x, low) }

// Argmax returns the index of the maximum along a dimension, Int64 without that dimension.
func (s *Scope) Argmax(x *Tensor, dim int) *Tensor { return s.Call("argmax", x, dim) }

// Sum returns the sum of all elements, a tensor without dimensions.
func (s *Scope) Sum(x *Tensor) *Tensor { return s.Call("sum", x) }

// Mean returns the mean of all elements, a tensor without dimensions.
func (s *Scope) Mean(x *Tensor) *Tensor { return s.Call("mean", x) }

// SumDims returns the sums over dimensions, which become 1 if keep, and vanish otherwise.
func (s *Scope) SumDims(x *Tensor, keep bool, dims ...int) *Tensor {
	return s.Call("sum.dim_IntList", x, dims, keep)
}

// MeanDims returns the means over dimensions, which become 1 if keep, and vanish otherwise.
func (s *Scope) MeanDims(x *Tensor, keep bool, dims ...int) *Tensor {
	return s.Call("mean.dim", x, dims, keep)
}

// MatMul returns the product of matrices [N, K] and [K, M]; dimensions before are broadcast.
func (s *Scope) MatMul(a, b *Tensor) *Tensor { return s.Call("matmul", a, b) }

// BatchMatMul returns the products of the matrices of [B, N, K] and [B, K, M].
func (s *Scope) BatchMatMul(a, b *Tensor) *Tensor { return s.Call("bmm", a, b) }

// BatchMatMulAdd returns beta·c + alpha·(a b), with c [B, N, M] or broadcast to it. With a
// beta of 0, c's values do not matter.
func (s *Scope) BatchMatMulAdd(c, a, b *Tensor, beta, alpha float64) *Tensor {
	return s.Call("baddbmm", c, a, b, beta, alpha)
}

// AddInPlace adds alpha·other to dst.
func (s *Scope) AddInPlace(dst, other *Tensor, alpha float64) {
	s.do("add_.Tensor", dst, other, alpha)
}

// MulInPlace multiplies dst by v.
func (s *Scope) MulInPlace(dst *Tensor, v float64) { s.do("mul_.Scalar", dst, v) }
