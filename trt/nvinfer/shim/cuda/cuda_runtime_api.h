// What TensorRT's headers need of CUDA's: two types. The shim finds CUDA's functions at run
// time, so that it compiles where no CUDA is installed.
#pragma once

typedef struct CUstream_st* cudaStream_t;
typedef struct CUevent_st* cudaEvent_t;
