/* multistream-select 1.0 frames: uvarint length, text, newline. */
#ifndef KP_WIRE_MSS_FRAME_H
#define KP_WIRE_MSS_FRAME_H

#include "base/err.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_MSS_FRAME_MAX 1024u                   /* text and newline */
#define KP_MSS_NAME_MAX  (KP_MSS_FRAME_MAX - 1u) /* text */
#define KP_MSS_HEADER    "/multistream/1.0.0"
#define KP_MSS_NA        "na"
#define KP_MSS_LS        "ls"

/* Bytes of the frame that carries a text of n bytes. */
size_t kp_mss_size(size_t n);

/* Appends the frame of `name` (n ≤ KP_MSS_NAME_MAX, asserted). */
void kp_mss_write(kp_writer *w, kp_slice name);

/* Takes one frame off *in; *name is its text without the newline, a view into the input. KP_E_AGAIN
 * = not whole yet, KP_E_PROTO = length 0 or above KP_MSS_FRAME_MAX or not minimal, or no newline at
 * the end (said as early as the bytes show it); *in and *name are then unchanged. */
kp_err kp_mss_read(kp_slice *in, kp_slice *name);

/* Appends the answer to `ls`: one frame that holds a frame for each name and a newline. The names
 * that fit KP_MSS_FRAME_MAX are written, in order. */
void kp_mss_write_ls(kp_writer *w, const kp_slice *names, size_t n);

/* Walks the text that kp_mss_read returned for an `ls` answer. False at the end (*err = KP_OK) or
 * when malformed (KP_E_PROTO). */
bool kp_mss_next_ls(kp_slice *text, kp_slice *name, kp_err *err);

#ifdef __cplusplus
}
#endif
#endif
