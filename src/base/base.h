/* The ground floor: no I/O policy, no database. Everything else may include it.
 *
 * One header per concept, this one gathers them. Naming used everywhere: init/deinit in place, new/free on the
 * heap, ref/unref shared; outputs come last as ret_x and are written only on success; a function that can fail for
 * an operating reason returns enum kl_rc and must be checked. */
#ifndef KL_BASE_H
#define KL_BASE_H

#include "base/assert.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/slice.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/snowflake.h"
#include "base/text.h"
#include "base/log.h"
#include "base/fault.h"

#endif
