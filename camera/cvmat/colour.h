// One call into OpenCV without headers that outlive it. Compiled as C by cgo.
#pragma once
#ifdef __cplusplus
extern "C" {
#endif

// cvmat_convert runs cv::cvtColor by that code from rows of columns elements of a type, all
// without padding, to rowsTo rows of columnsTo BGR pixels. It returns 0, or 1 with the reason in
// message, of size bytes.
int cvmat_convert(const void *from, int rows, int columns, int type, void *to, int rowsTo, int columnsTo, int code, char *message, int size);

#ifdef __cplusplus
}
#endif
