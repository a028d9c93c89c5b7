package model

import (
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
)

// Pictures returns RGB pictures of one size, rows of pixels of three bytes one after the
// other, normalised as the networks expect them: [n, 3, height, width].
func Pictures(s *torch.Scope, rgb []uint8, n, height, width int) (x *torch.Tensor) {
	s.In(func(s *torch.Scope) {
		scale, shift := make([]float32, 3), make([]float32, 3)
		for c := range scale {
			scale[c] = float32(1 / (255 * nn.PictureDeviation[c]))
			shift[c] = float32(-nn.PictureMean[c] / nn.PictureDeviation[c])
		}
		planes := s.Call("permute", s.FromUint8(rgb, n, height, width, 3), []int{0, 3, 1, 2})
		x = s.Call("contiguous", s.To(planes, torch.Float32))
		x = s.Mul(x, s.FromFloat32(scale, 1, 3, 1, 1))
		s.AddInPlace(x, s.FromFloat32(shift, 1, 3, 1, 1), 1)
		x = s.Return(x)
	})
	return x
}

// Labels returns class ids, or [IgnoredLabel], of n pictures of one size as
// [Model.Losses] takes them: [n, height, width] of Int64.
func Labels(s *torch.Scope, ids []uint8, n, height, width int) (labels *torch.Tensor) {
	s.In(func(s *torch.Scope) {
		labels = s.Return(s.To(s.FromUint8(ids, n, height, width), torch.Int64))
	})
	return labels
}
