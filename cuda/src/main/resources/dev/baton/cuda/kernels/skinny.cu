// y[t, n] = sum over k of x[t, k] * w[n, k] for at most 16 tokens (32 of an expert): every weight is read once, straight from
// memory through a ring of shared memory into tensor cores, with what follows the product done where its sums are.
//
// A block owns ROWS rows of w and a slice of k; the blocks of a cluster own the slices of the same rows and sum each
// other's parts through distributed shared memory, always in the order of slices. Warp w of the four takes rows
// [16 MT w, 16 MT (w + 1)) and all tokens. Rows come in pairs `half` apart, both in one thread, because what follows often
// needs two: gate and up, or the halves of a rotated head. Pair p is rows (p / half) * 2 half + p % half and half more.
//
// The ring's first loads of w do not wait for the kernel before: weights are never written.
//
// x is normed on the fly: w * norm(x) = (w * x') * factor, where x' = x * norm weight was left by the kernel before, with
// partial sums of squares that give the factor of a token.

static const int DEPTH = 64;  // k of a stage: 128 bytes of a row

struct Input {
    const bf16* x;         // [tokens, k], rows xStride apart
    i64 xStride;
    const bf16* w;         // [n, k], rows wStride apart
    i64 wStride;
    const float* squares;  // [tokens, columns] partial sums of the squares of the whole rows; null: x as it is
    int columns;
    float epsilon;
    int n;
    int k;
    int tokens;
    int half;
    int slice;             // k of a block, a multiple of DEPTH
    int width;             // elements of a normed row
    const bf16* second;    // null: pairs as above; else pair p is row p of w and row p of this
    const int* order;      // null: x as it is; else row t of x is row order[t] / share
    int share;
    int unused;
};

template <int MT, int NT> struct Sizes {
    static const int ROWS = 64 * MT;
    static const int TOKENS = 8 * NT;
    static const int W_BYTES = ROWS * 128;
    static const int STAGE = W_BYTES + TOKENS * 128;
    static const int PARTS = ROWS + 4;  // floats from one token's parts to the next
};

template <int MT, int NT, int STAGES, class Epilogue>
__device__ __forceinline__ void skinny(const Input& in, Epilogue& epilogue) {
    typedef Sizes<MT, NT> S;
    extern __shared__ __align__(128) unsigned char shared[];
    __shared__ float factors[S::TOKENS];
    int warp = threadIdx.x / 32;
    int lane = threadIdx.x % 32;
    int splits = gridDim.x;
    int rank = splits > 1 ? cluster_rank() : 0;
    int tile = blockIdx.y;
    int from = rank * in.slice;
    int to = min(in.k, from + in.slice);
    int steps = max(0, (to - from + DEPTH - 1) / DEPTH);
    unsigned base = (unsigned)__cvta_generic_to_shared(shared);

    // Thread i copies chunk i % 8 of rows i / 8, i / 8 + 16, ...; rows behind the end repeat the last one.
    int chunk = threadIdx.x % 8;
    int first = threadIdx.x / 8;
    const bf16* rows[4 * MT];
#pragma unroll
    for (int m = 0; m < 4 * MT; m++) {
        int pair = tile * (S::ROWS / 2) + m * 8 + first % 8;
        int row = in.second ? pair : pair / in.half * 2 * in.half + pair % in.half + (first >= 8 ? in.half : 0);
        const bf16* matrix = in.second && first >= 8 ? in.second : in.w;
        rows[m] = matrix + (i64)min(row, in.n - 1) * in.wStride + chunk * 8;
    }
    // Its rows of x: i / 8, i / 8 + 16, ...
    const bf16* tokens[(NT + 1) / 2];
#pragma unroll
    for (int i = 0; i < (NT + 1) / 2; i++) {
        int t = min(first + i * 16, in.tokens - 1);
        tokens[i] = in.x + (in.order ? in.order[t] / in.share : t) * in.xStride + chunk * 8;
    }
    auto loadW = [&](int step) {
        int k = from + step * DEPTH;
        unsigned at = base + step % STAGES * S::STAGE;
#pragma unroll
        for (int m = 0; m < 4 * MT; m++) {
            copy_or_zero(at + spot<128>(m * 16 + first, chunk), rows[m] + k, k + chunk * 8 < to);
        }
    };
    auto loadX = [&](int step) {
        int k = from + step * DEPTH;
        unsigned at = base + step % STAGES * S::STAGE + S::W_BYTES;
#pragma unroll
        for (int i = 0; i < (NT + 1) / 2; i++) {
            int t = first + i * 16;
            if (NT > 1 || t < S::TOKENS) {
                bool inside = t < in.tokens && k + chunk * 8 < to;
                copy_or_zero(at + spot<128>(t, chunk), tokens[i] + k, inside);
            }
        }
    };
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < steps) {
            loadW(s);
        }
        commit();
    }
    wait_previous();
    if (steps < STAGES) {
        launch_next();
    }
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < steps) {
            loadX(s);
        }
        commit();
    }
    int mine = rank + splits * warp;  // the first token that this warp finishes
    if (mine < in.tokens) {
#pragma unroll
        for (int j = 0; j < MT; j++) {
            int pair = tile * (S::ROWS / 2) + j * 32 + lane;
            epilogue.early(j, mine, pair / in.half * 2 * in.half + pair % in.half, in.half, in.n);
        }
    }
    if (in.squares) {
        for (int t = warp; t < in.tokens; t += 4) {
            float sum = 0.f;
            for (int c = lane; c < in.columns; c += 32) {
                sum += in.squares[(i64)t * in.columns + c];
            }
            sum = warp_sum(sum);
            if (lane == 0) {
                factors[t] = rsqrtf(sum / in.width + in.epsilon);
            }
        }
    }
    float acc[MT][NT][4];
#pragma unroll
    for (int m = 0; m < MT; m++) {
#pragma unroll
        for (int n = 0; n < NT; n++) {
            acc[m][n][0] = acc[m][n][1] = acc[m][n][2] = acc[m][n][3] = 0.f;
        }
    }
    for (int step = 0; step < steps; step++) {
        wait<STAGES - 2>();
        __syncthreads();
        if (step + STAGES - 1 < steps) {
            loadW(step + STAGES - 1);
            loadX(step + STAGES - 1);
            if (step + STAGES == steps) {
                launch_next();
            }
        }
        commit();
        unsigned wTile = base + step % STAGES * S::STAGE;
        unsigned xTile = wTile + S::W_BYTES;
#pragma unroll
        for (int kk = 0; kk < 2; kk++) {
            unsigned b[NT][4];
#pragma unroll
            for (int n = 0; n < NT; n++) {
                load_matrices(b[n], xTile + spot<128>(n * 8 + lane % 8, kk * 4 + lane / 8));
            }
#pragma unroll
            for (int m = 0; m < MT; m++) {
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    unsigned a[4];
                    load_matrices(a, wTile + spot<128>((warp * MT + m) * 16 + lane % 16, kk * 4 + h * 2 + lane / 16));
#pragma unroll
                    for (int n = 0; n < NT; n++) {
                        multiply(acc[m][n], a, b[n][2 * h], b[n][2 * h + 1]);
                    }
                }
            }
        }
    }
    wait<0>();
    __syncthreads();
    float* parts = (float*)shared;  // [TOKENS][PARTS]
#pragma unroll
    for (int m = 0; m < MT; m++) {
#pragma unroll
        for (int n = 0; n < NT; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int row = (warp * MT + m) * 16 + lane / 4 + i / 2 * 8;
                int t = n * 8 + lane % 4 * 2 + i % 2;
                parts[t * S::PARTS + row] = acc[m][n][i];
            }
        }
    }
    if (splits > 1) {
        cluster_barrier();
    } else {
        __syncthreads();
    }
    // A warp finishes whole tokens, a lane a pair of rows.
    for (int t = mine; t < in.tokens; t += splits * 4) {
        float factor = in.squares ? factors[t] : 1.f;
#pragma unroll
        for (int j = 0; j < MT; j++) {
            int local = j * 32 + lane;
            int at = t * S::PARTS + local / 8 * 16 + local % 8;
            float a = 0.f;
            float b = 0.f;
            if (splits > 1) {
                float first[8];
                float second[8];
#pragma unroll
                for (int r = 0; r < 8; r++) {
                    first[r] = r < splits ? remote(base + at * 4, r) : 0.f;
                    second[r] = r < splits ? remote(base + (at + 8) * 4, r) : 0.f;
                }
#pragma unroll
                for (int r = 0; r < 8; r++) {
                    a += first[r];
                    b += second[r];
                }
            } else {
                a = parts[at];
                b = parts[at + 8];
            }
            int pair = tile * (S::ROWS / 2) + local;
            int row = pair / in.half * 2 * in.half + pair % in.half;
            epilogue.pair(t, pair, row, in.half, in.n, a * factor, b * factor, t == mine ? j : -1);
            epilogue.ended(t, tile * MT + j, lane);
        }
    }
    if (splits > 1) {
        cluster_barrier();  // nobody leaves while its parts are read
    }
}

// out[t, row] = value + bias
template <class O> struct Plain {
    const float* bias;
    O* out;
    i64 outStride;

    __device__ __forceinline__ void pair(int t, int, int row, int half, int n, float a, float b, int) {
        if (row < n) {
            out[t * outStride + row] = narrow<O>(a + (bias ? bias[row] : 0.f));
        }
        if (row + half < n) {
            out[t * outStride + row + half] = narrow<O>(b + (bias ? bias[row + half] : 0.f));
        }
    }
    __device__ __forceinline__ void ended(int, int, int) {}
    __device__ __forceinline__ void early(int, int, int, int, int) {}
};

// residual += value + bias; scaled = residual * next norm's weight; squares[t, column] = sum of the squares of 64 rows.
struct Add {
    const float* bias;
    float* residual;
    i64 residualStride;
    const float* norm;
    bf16* scaled;
    i64 scaledStride;
    float* squares;
    int columns;
    float sum;
    // Of the warp's first token, read while the product runs: the stream and the next norm's weights.
    float streams[4];
    float norms[4];

    __device__ __forceinline__ void early(int j, int t, int row, int half, int n) {
        if (row + half < n) {
            streams[2 * j] = residual[t * residualStride + row];
            streams[2 * j + 1] = residual[t * residualStride + row + half];
            norms[2 * j] = norm[row];
            norms[2 * j + 1] = norm[row + half];
        }
    }
    __device__ __forceinline__ void one(int t, int row, float v, float stream, float weight) {
        v += stream + (bias ? bias[row] : 0.f);
        residual[t * residualStride + row] = v;
        scaled[t * scaledStride + row] = narrow<bf16>(v * weight);
        sum += v * v;
    }
    __device__ __forceinline__ void pair(int t, int, int row, int half, int n, float a, float b, int known) {
        sum = 0.f;
        if (row + half < n) {
            const float* stream = residual + t * residualStride + row;
            one(t, row, a, known >= 0 ? streams[known == 1 ? 2 : 0] : stream[0],
                known >= 0 ? norms[known == 1 ? 2 : 0] : norm[row]);
            one(t, row + half, b, known >= 0 ? streams[known == 1 ? 3 : 1] : stream[half],
                known >= 0 ? norms[known == 1 ? 3 : 1] : norm[row + half]);
        }
    }
    __device__ __forceinline__ void ended(int t, int column, int lane) {
        float all = warp_sum(sum);
        if (lane == 0 && column < columns) {
            squares[(i64)t * columns + column] = all;
        }
    }
};

// out[t, pair] = silu(first) * second
struct Gated {
    bf16* out;
    i64 outStride;

    __device__ __forceinline__ void pair(int t, int pair, int, int half, int, float a, float b, int) {
        if (pair < half) {
            out[t * outStride + pair] = narrow<bf16>(silu(a) * b);
        }
    }
    __device__ __forceinline__ void ended(int, int, int) {}
    __device__ __forceinline__ void early(int, int, int, int, int) {}
};

// Rows are query heads, key heads, value heads: queries are rotated, keys rotated to their slots, values go to theirs.
struct Heads {
    const float* bias;
    bf16* q;
    i64 qStride;
    bf16* keys;
    i64 keyStride;
    bf16* values;
    i64 valueStride;
    const int* positions;
    const int* slots;
    const float* table;  // [position][2 half]: cos, then sin
    int queryRows;
    int keyRows;

    __device__ __forceinline__ void pair(int t, int, int row, int half, int n, float a, float b, int) {
        if (row >= n) {
            return;
        }
        if (bias) {
            a += bias[row];
            b += bias[row + half];
        }
        if (row < queryRows + keyRows) {
            int i = row % half;
            const float* turn = table + (i64)positions[t] * 2 * half;
            float c = turn[i];
            float s = turn[half + i];
            float x = a * c - b * s;
            b = b * c + a * s;
            a = x;
        }
        bf16* to = row < queryRows ? q + t * qStride + row
            : row < queryRows + keyRows ? keys + (i64)slots[t] * keyStride + row - queryRows
                                        : values + (i64)slots[t] * valueStride + row - queryRows - keyRows;
        to[0] = narrow<bf16>(a);
        to[half] = narrow<bf16>(b);
    }
    __device__ __forceinline__ void ended(int, int, int) {}
    __device__ __forceinline__ void early(int, int, int, int, int) {}
};

struct AddArguments {
    const float* bias;
    float* residual;
    i64 residualStride;
    const float* norm;
    bf16* scaled;
    i64 scaledStride;
    float* squares;
    int columns;
};

#define SKINNY(NAME, MT, NT, STAGES)                                                                                   \
    extern "C" __global__ void __launch_bounds__(128) plain_float_##NAME(Input in, Plain<float> to) {                  \
        skinny<MT, NT, STAGES>(in, to);                                                                                \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(128) plain_bf16_##NAME(Input in, Plain<bf16> to) {                    \
        skinny<MT, NT, STAGES>(in, to);                                                                                \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(128) add_##NAME(Input in, AddArguments a) {                           \
        Add to = {a.bias, a.residual, a.residualStride, a.norm, a.scaled, a.scaledStride, a.squares, a.columns};       \
        skinny<MT, NT, STAGES>(in, to);                                                                                \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(128) gated_##NAME(Input in, Gated to) {                               \
        skinny<MT, NT, STAGES>(in, to);                                                                                \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(128) heads_##NAME(Input in, Heads to) {                               \
        skinny<MT, NT, STAGES>(in, to);                                                                                \
    }
SKINNY(8, 1, 1, 6)
SKINNY(16, 1, 2, 5)

#define EXPERTS(NAME, NT, STAGES)                                                                                      \
    extern "C" __global__ void __launch_bounds__(128) expert_gated_##NAME(Input in, Experts all) {                     \
        int e, start;                                                                                                  \
        wait_previous();                                                                                               \
        if (find_tile(all, e, start, in.tokens)) {                                                                     \
            in.w = all.matrices[e];                                                                                    \
            in.second = all.second[e];                                                                                 \
            in.order = all.order + start;                                                                              \
            Gated to = {all.result + start * all.resultStride, all.resultStride};                                      \
            skinny<1, NT, STAGES>(in, to);                                                                             \
        }                                                                                                              \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(128) expert_plain_##NAME(Input in, Experts all) {                     \
        int e, start;                                                                                                  \
        wait_previous();                                                                                               \
        if (find_tile(all, e, start, in.tokens)) {                                                                     \
            in.w = all.matrices[e];                                                                                    \
            in.x += start * in.xStride;                                                                                \
            Plain<bf16> to = {nullptr, all.result + start * all.resultStride, all.resultStride};                       \
            skinny<1, NT, STAGES>(in, to);                                                                             \
        }                                                                                                              \
    }
EXPERTS(8, 1, 6)
EXPERTS(32, 4, 5)

// The stream's first rows: scaled = x * norm, squares[t, 0] = sum of squares and zeros behind. A block a token; n a multiple of
// 8, rows on 16-byte boundaries.
extern "C" __global__ void scale_rows(const float* x, i64 xs, const float* norm, bf16* scaled, i64 ss, float* squares,
                                      int columns, int n) {
    enter();
    i64 t = blockIdx.x;
    float sum = 0.f;
    for (int i = threadIdx.x * 8; i < n; i += blockDim.x * 8) {
        float v[8];
        float w[8];
        read8(v, x + t * xs + i);
        read8(w, norm + i);
#pragma unroll
        for (int k = 0; k < 8; k++) {
            sum += v[k] * v[k];
            v[k] *= w[k];
        }
        write8(scaled + t * ss + i, v);
    }
    sum = block_sum(sum);
    for (int c = threadIdx.x; c < columns; c += blockDim.x) {
        squares[t * columns + c] = c == 0 ? sum : 0.f;
    }
}

// The stream's last rows: out = scaled * factor. A block a token, and n, as above.
extern "C" __global__ void finish_rows(const bf16* scaled, i64 ss, const float* squares, bf16* out, i64 os, int columns,
                                       float epsilon, int n) {
    enter();
    i64 t = blockIdx.x;
    const bf16* row = scaled + t * ss;
    int i = threadIdx.x * 8;
    float v[8];
    if (i < n) {
        read8(v, row + i);  // under way while the squares are summed
    }
    float part = 0.f;
    for (int c = threadIdx.x; c < columns; c += blockDim.x) {
        part += squares[t * columns + c];
    }
    float factor = rsqrtf(block_sum(part) / n + epsilon);
    while (i < n) {
#pragma unroll
        for (int k = 0; k < 8; k++) {
            v[k] *= factor;
        }
        write8(out + t * os + i, v);
        i += blockDim.x * 8;
        if (i < n) {
            read8(v, row + i);
        }
    }
}
