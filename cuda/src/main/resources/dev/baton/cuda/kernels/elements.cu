// Row-wise operators without sums. A block works on one row (blockIdx.x); strides are in elements.

// out[t] = table[ids[t] - first], zeros outside the table.
template <class W, class A>
__device__ void embed(const int* ids, const W* table, i64 tableStride, int rows, int first, A* out, i64 outStride, int n) {
    enter();
    int t = blockIdx.x;
    int row = ids[t] - first;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        float x = row < 0 || row >= rows ? 0.f : widen(table[row * tableStride + i]);
        out[t * outStride + i] = narrow<A>(x);
    }
}

// target += x
template <class R, class A>
__device__ void add(R* target, i64 targetStride, const A* x, i64 xStride, int n) {
    enter();
    int t = blockIdx.x;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        R* to = target + t * targetStride + i;
        *to = narrow<R>(widen(*to) + widen(x[t * xStride + i]));
    }
}

// out[t] = x[t]
template <class X, class O>
__device__ void copy(const X* x, i64 xStride, O* out, i64 outStride, int n) {
    enter();
    i64 t = blockIdx.x;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        out[t * outStride + i] = narrow<O>(widen(x[t * xStride + i]));
    }
}

// E4M3 "fn": 4 exponent bits (bias 7), 3 mantissa bits, no infinities.
__device__ __forceinline__ float e4m3(unsigned char x) {
    int exponent = x >> 3 & 15;
    int mantissa = x & 7;
    float value = exponent == 0 ? mantissa * 0x1p-9f : __int_as_float((exponent + 120) << 23 | mantissa << 20);
    value = (x & 127) == 127 ? __int_as_float(0x7fffffff) : value;
    return x & 128 ? -value : value;
}

// out[r, c] = x[r, c] * scales[r / 128, c / 128]; without scales out = x
template <class O>
__device__ void unscale(const unsigned char* x, i64 xStride, const float* scales, i64 scaleStride, O* out,
                        i64 outStride, int n) {
    enter();
    i64 r = blockIdx.x;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        float scale = scales ? scales[r / 128 * scaleStride + i / 128] : 1.f;
        out[r * outStride + i] = narrow<O>(e4m3(x[r * xStride + i]) * scale);
    }
}

// out = silu(gate) * up; grid (rows, parts of a row)
template <class A>
__device__ void silu_mul(const A* gate, i64 gateStride, const A* up, i64 upStride, A* out, i64 outStride, int n) {
    enter();
    i64 t = blockIdx.x;
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < n; i += gridDim.y * blockDim.x) {
        float g = widen(gate[t * gateStride + i]);
        out[t * outStride + i] = narrow<A>(silu(g) * widen(up[t * upStride + i]));
    }
}

// The same, eight elements a thread: n a multiple of 8, rows on 16-byte boundaries.
extern "C" __global__ void silu_mul_wide(const bf16* gate, i64 gs, const bf16* up, i64 us, bf16* out, i64 os, int n) {
    enter();
    i64 t = blockIdx.x;
    for (int i = (blockIdx.y * blockDim.x + threadIdx.x) * 8; i < n; i += gridDim.y * blockDim.x * 8) {
        float g[8];
        float u[8];
        read8(g, gate + t * gs + i);
        read8(u, up + t * us + i);
#pragma unroll
        for (int k = 0; k < 8; k++) {
            g[k] = silu(g[k]) * u[k];
        }
        write8(out + t * os + i, g);
    }
}

// Rotates pairs of each head in place; table[position] = cos [half], sin [half].
template <class A>
__device__ void rope(A* x, i64 xStride, const int* positions, const float* table, int heads, int headDim, int offset,
                     int rotaryDim, int interleaved) {
    enter();
    i64 t = blockIdx.x;
    int half = rotaryDim / 2;
    const float* row = table + (i64)positions[t] * rotaryDim;
    for (int j = threadIdx.x; j < heads * half; j += blockDim.x) {
        int i = j % half;
        A* head = x + t * xStride + (i64)(j / half) * headDim + offset;
        A* first = head + (interleaved ? 2 * i : i);
        A* second = head + (interleaved ? 2 * i + 1 : i + half);
        float c = row[i];
        float s = row[half + i];
        float a = widen(*first);
        float b = widen(*second);
        *first = narrow<A>(a * c - b * s);
        *second = narrow<A>(b * c + a * s);
    }
}

// q rotated in place; k rotated and v as it is to their slots.
template <class A, class C>
__device__ void rope_store(A* q, i64 qStride, const A* k, i64 kStride, const A* v, i64 vStride, C* keys, i64 keyStride,
                           C* values, i64 valueStride, const int* positions, const int* slots, const float* table,
                           int heads, int kvHeads, int headDim, int valueColumns, int rotaryDim, int interleaved) {
    enter();
    i64 t = blockIdx.x;
    int half = rotaryDim / 2;
    const float* row = table + (i64)positions[t] * rotaryDim;
    C* key = keys + (i64)slots[t] * keyStride;
    C* value = values + (i64)slots[t] * valueStride;
    for (int j = threadIdx.x; j < (heads + kvHeads) * half; j += blockDim.x) {
        int h = j / half;
        int i = j % half;
        int first = interleaved ? 2 * i : i;
        int second = interleaved ? 2 * i + 1 : i + half;
        float c = row[i];
        float s = row[half + i];
        if (h < heads) {
            A* head = q + t * qStride + (i64)h * headDim;
            float a = widen(head[first]);
            float b = widen(head[second]);
            head[first] = narrow<A>(a * c - b * s);
            head[second] = narrow<A>(b * c + a * s);
        } else {
            i64 offset = (i64)(h - heads) * headDim;
            float a = widen(k[t * kStride + offset + first]);
            float b = widen(k[t * kStride + offset + second]);
            key[offset + first] = narrow<C>(a * c - b * s);
            key[offset + second] = narrow<C>(b * c + a * s);
        }
    }
    int rest = headDim - rotaryDim;
    for (int j = threadIdx.x; j < kvHeads * rest; j += blockDim.x) {
        int i = j / rest * headDim + rotaryDim + j % rest;
        key[i] = narrow<C>(widen(k[t * kStride + i]));
    }
    for (int i = threadIdx.x; i < valueColumns; i += blockDim.x) {
        value[i] = narrow<C>(widen(v[t * vStride + i]));
    }
}

// The same for heads that rotate wholly by halves, rows on 16-byte boundaries: a thread rotates eight pairs or stores eight
// values, and a block of enough threads does its token at once.
extern "C" __global__ void __launch_bounds__(512)
    rope_store_wide(bf16* q, i64 qStride, const bf16* k, i64 kStride, const bf16* v, i64 vStride, bf16* keys, i64 keyStride,
                    bf16* values, i64 valueStride, const int* positions, const int* slots, const float* table, int heads,
                    int kvHeads, int headDim, int valueColumns) {
    enter();
    i64 t = blockIdx.x;
    i64 slot = slots[t];
    int half = headDim / 2;
    const float* row = table + (i64)positions[t] * headDim;
    int rotated = (heads + kvHeads) * (half / 8);
    for (int j = threadIdx.x; j < rotated + valueColumns / 8; j += blockDim.x) {
        if (j >= rotated) {
            int i = (j - rotated) * 8;
            *(uint4*)(values + slot * valueStride + i) = *(const uint4*)(v + t * vStride + i);
            continue;
        }
        int h = j / (half / 8);
        int i = j % (half / 8) * 8;
        const bf16* from = h < heads ? q + t * qStride + h * headDim : k + t * kStride + (h - heads) * headDim;
        bf16* to = h < heads ? q + t * qStride + h * headDim : keys + slot * keyStride + (h - heads) * headDim;
        float a[8], b[8], c[8], s[8], first[8], second[8];
        read8(a, from + i);
        read8(b, from + half + i);
        read8(c, row + i);
        read8(s, row + half + i);
#pragma unroll
        for (int e = 0; e < 8; e++) {
            first[e] = a[e] * c[e] - b[e] * s[e];
            second[e] = b[e] * c[e] + a[e] * s[e];
        }
        write8(to + i, first);
        write8(to + half + i, second);
    }
}

// cache[slots[t]] = x[t]
template <class A, class C>
__device__ void scatter_rows(const A* x, i64 xStride, const int* slots, C* cache, i64 cacheStride, int n) {
    enter();
    i64 t = blockIdx.x;
    C* to = cache + (i64)slots[t] * cacheStride;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        to[i] = narrow<C>(widen(x[t * xStride + i]));
    }
}

// out[t] = cache[slots[t]]
template <class C, class A>
__device__ void gather_rows(const C* cache, i64 cacheStride, const int* slots, A* out, i64 outStride, int n) {
    enter();
    i64 t = blockIdx.x;
    const C* from = cache + (i64)slots[t] * cacheStride;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        out[t * outStride + i] = narrow<A>(widen(from[i]));
    }
}

// The lowest index of the largest logit of row blockIdx.x; NaN never wins. gridDim.y blocks share a row; the one that comes
// last joins their results, best [rows, gridDim.y] as order and index. arrived [rows], zeros between launches.
extern "C" __global__ void argmax_f32(const float* logits, i64 stride, int* out, unsigned long long* best, int* arrived,
                                      int n) {
    enter();
    const float* row = logits + blockIdx.x * stride;
    int share = (n + gridDim.y - 1) / gridDim.y;
    int end = min(n, (int)(blockIdx.y + 1) * share);
    int i = blockIdx.y * share + threadIdx.x;
    float top = -infinity();
    int index = -1;
    // Several loads under way at once.
    const int DEEP = 8;
    for (; i + (DEEP - 1) * (int)blockDim.x < end; i += DEEP * blockDim.x) {
        float x[DEEP];
#pragma unroll
        for (int d = 0; d < DEEP; d++) {
            x[d] = row[i + d * blockDim.x];
        }
#pragma unroll
        for (int d = 0; d < DEEP; d++) {
            if (x[d] > top) {
                top = x[d];
                index = i + d * blockDim.x;
            }
        }
    }
    for (; i < end; i += blockDim.x) {
        float x = row[i];
        if (x > top) {
            top = x;
            index = i;
        }
    }
    // Larger is better: the value's order in the high half, the reversed index in the low one.
    unsigned bits = __float_as_uint(top + 0.f);  // both zeros are equal
    unsigned order = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    unsigned long long mine = index < 0 ? 0 : (unsigned long long)order << 32 | (unsigned)~index;
    mine = block_max(mine);
    __shared__ int last;
    if (threadIdx.x == 0) {
        best[blockIdx.x * gridDim.y + blockIdx.y] = mine;
        __threadfence();
        last = atomicAdd(arrived + blockIdx.x, 1) == gridDim.y - 1;
    }
    __syncthreads();
    if (!last) {
        return;
    }
    __threadfence();
    mine = 0;
    for (int part = threadIdx.x; part < gridDim.y; part += blockDim.x) {
        mine = max(mine, __ldcg(best + blockIdx.x * gridDim.y + part));
    }
    mine = block_max(mine);
    if (threadIdx.x == 0) {
        arrived[blockIdx.x] = 0;
        out[blockIdx.x] = mine == 0 ? 0 : (int)~(unsigned)mine;
    }
}

#define EMBED(W, A)                                                                                                    \
    extern "C" __global__ void embed_##W##_##A(const int* ids, const W* table, i64 ts, A* out, i64 os, int rows,       \
                                               int first, int n) {                                                     \
        embed(ids, table, ts, rows, first, out, os, n);                                                                \
    }
EMBED(float, float)
EMBED(bf16, float)
EMBED(float, bf16)
EMBED(bf16, bf16)

#define PAIR(X, O)                                                                                                     \
    extern "C" __global__ void copy_##X##_##O(const X* x, i64 xs, O* out, i64 os, int n) { copy(x, xs, out, os, n); }  \
    extern "C" __global__ void add_##X##_##O(O* target, i64 ts, const X* x, i64 xs, int n) { add(target, ts, x, xs, n); } \
    extern "C" __global__ void scatter_##X##_##O(const X* x, i64 xs, const int* slots, O* cache, i64 cs, int n) {      \
        scatter_rows(x, xs, slots, cache, cs, n);                                                                      \
    }                                                                                                                  \
    extern "C" __global__ void rope_store_##X##_##O(X* q, i64 qs, const X* k, i64 ks, const X* v, i64 vs, O* keys,     \
                                                    i64 keyStride, O* values, i64 valueStride, const int* positions,   \
                                                    const int* slots, const float* table, int heads, int kvHeads,      \
                                                    int headDim, int valueColumns, int rotaryDim, int interleaved) {   \
        rope_store(q, qs, k, ks, v, vs, keys, keyStride, values, valueStride, positions, slots, table, heads, kvHeads, \
                   headDim, valueColumns, rotaryDim, interleaved);                                                     \
    }                                                                                                                  \
    extern "C" __global__ void gather_##X##_##O(const X* cache, i64 cs, const int* slots, O* out, i64 os, int n) {     \
        gather_rows(cache, cs, slots, out, os, n);                                                                     \
    }
PAIR(float, float)
PAIR(float, bf16)
PAIR(bf16, float)
PAIR(bf16, bf16)

#define ONE(A)                                                                                                         \
    extern "C" __global__ void copy_f16_##A(const f16* x, i64 xs, A* out, i64 os, int n) { copy(x, xs, out, os, n); }  \
    extern "C" __global__ void unscale_##A(const unsigned char* x, i64 xs, const float* scales, i64 ss, A* out,        \
                                           i64 os, int n) {                                                            \
        unscale(x, xs, scales, ss, out, os, n);                                                                        \
    }                                                                                                                  \
    extern "C" __global__ void silu_mul_##A(const A* gate, i64 gs, const A* up, i64 us, A* out, i64 os, int n) {       \
        silu_mul(gate, gs, up, us, out, os, n);                                                                        \
    }                                                                                                                  \
    extern "C" __global__ void rope_##A(A* x, i64 xs, const int* positions, const float* table, int heads,             \
                                        int headDim, int offset, int rotaryDim, int interleaved) {                     \
        rope(x, xs, positions, table, heads, headDim, offset, rotaryDim, interleaved);                                 \
    }
ONE(float)
ONE(bf16)
