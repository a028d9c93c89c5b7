package page

import "github.com/robustnet-edge/robustnet/train/nn"

// methodNames are how the paper writes the methods.
var methodNames = map[nn.Method]string{
	nn.Base: "Baseline", nn.IN: "IN", nn.IBN: "IBN-Net", nn.SW: "SW", nn.IterNorm: "IterNorm",
	nn.GIW: "GIW", nn.IW: "IW", nn.IRW: "IRW", nn.ISW: "ISW",
}

// MethodName is how the paper writes a method; others are written as they are.
func MethodName(m nn.Method) string {
	if name, ok := methodNames[m]; ok {
		return name
	}
	return string(m)
}

var trunkNames = map[nn.Trunk]string{
	nn.ResNet50: "ResNet-50", nn.ResNet101: "ResNet-101", nn.MobileNetV2: "MobileNetV2", nn.ShuffleNetV2: "ShuffleNetV2",
}

// TrunkName is how papers write a backbone; others are written as they are.
func TrunkName(t nn.Trunk) string {
	if name, ok := trunkNames[t]; ok {
		return name
	}
	return string(t)
}
