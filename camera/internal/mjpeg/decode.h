// JPEG pictures of cameras to BGR by libjpeg-turbo. Compiled as C by cgo.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct mjpeg mjpeg;

// mjpeg_new returns NULL where there is no memory.
mjpeg *mjpeg_new(void);
void mjpeg_free(mjpeg *m);

// mjpeg_decode writes height rows of width BGR pixels. It returns 0, or 1 if the picture is
// damaged, for which mjpeg_reason has the words until the next call. Neither buffer is kept.
int mjpeg_decode(mjpeg *m, const uint8_t *from, size_t size, uint8_t *to, int width, int height);
const char *mjpeg_reason(const mjpeg *m);
