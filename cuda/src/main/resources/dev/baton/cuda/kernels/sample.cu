// Choosing tokens. Weights are whole numbers of 2^-40, so that their sums do not depend on the order in which threads add
// them: the same row and the same random number give the same token every time.

typedef unsigned long long u64;

// As SampledRows has them.
enum Column {
    FACTOR,
    TOP_K,
    TOP_P,
    MIN_P,
    REPETITION,
    FREQUENCY,
    PRESENCE,
    UNIFORM_LOW,
    UNIFORM_HIGH,
    ROW,
    PROMPT,
    LENGTH,
    COLUMNS
};

// Tokens of the vocabulary that one block of penalties counts.
static const int RANGE = 8192;
static const unsigned OCCURS = 0x80000000u;

// Penalties of row blockIdx.y on the tokens [blockIdx.x * RANGE, ...): the block reads the sequence and counts those.
extern "C" __global__ void penalties(float* logits, i64 stride, const int* parameters, const int* tokens, i64 positions, int n) {
    enter();
    const int* row = parameters + blockIdx.y * COLUMNS;
    float repetition = __int_as_float(row[REPETITION]);
    float frequency = __int_as_float(row[FREQUENCY]);
    float presence = __int_as_float(row[PRESENCE]);
    if (repetition == 1.f && frequency == 0.f && presence == 0.f) {
        return;
    }
    __shared__ unsigned counts[RANGE];
    for (int i = threadIdx.x; i < RANGE; i += blockDim.x) {
        counts[i] = 0;
    }
    __syncthreads();
    int first = blockIdx.x * RANGE;
    int range = min(RANGE, n - first);
    const int* sequence = tokens + row[ROW] * positions;
    for (int i = threadIdx.x; i < row[LENGTH]; i += blockDim.x) {
        int at = sequence[i] - first;
        if (at >= 0 && at < range) {
            if (i < row[PROMPT]) {
                atomicOr(counts + at, OCCURS);
            } else {
                atomicAdd(counts + at, 1u);
            }
        }
    }
    __syncthreads();
    float* mine = logits + blockIdx.y * stride + first;
    for (int i = threadIdx.x; i < range; i += blockDim.x) {
        if (counts[i] != 0) {
            float x = mine[i];
            x = x > 0.f ? __fdiv_rn(x, repetition) : __fmul_rn(x, repetition);
            unsigned occurrences = counts[i] & ~OCCURS;
            mine[i] = occurrences == 0 ? x : __fsub_rn(x, __fadd_rn(__fmul_rn(frequency, occurrences), presence));
        }
    }
}

// e^x as the host's scalar code computes it, operation by operation (dev.baton.tensor.cpu.Exponential).
__device__ __forceinline__ float exponential(float argument) {
    const float ROUND = 12582912.f;
    float x = fmaxf(fminf(argument, 88.f), -87.33654f);
    float rounded = __fmaf_rn(x, 1.44269504088896341f, ROUND);
    float n = __fsub_rn(rounded, ROUND);
    float r = __fmaf_rn(n, -0.693359375f, x);
    r = __fmaf_rn(n, 2.12194440e-4f, r);
    float p = __fmaf_rn(r, 1.9875691500e-4f, 1.3981999507e-3f);
    p = __fmaf_rn(p, r, 8.3334519073e-3f);
    p = __fmaf_rn(p, r, 4.1665795894e-2f);
    p = __fmaf_rn(p, r, 1.6666665459e-1f);
    p = __fmaf_rn(p, r, 5.0000001201e-1f);
    p = __fadd_rn(__fmaf_rn(p, __fmul_rn(r, r), r), 1.f);
    return __fmul_rn(__int_as_float((__float_as_int(rounded) + 127 - __float_as_int(ROUND)) << 23), p);
}

__device__ __forceinline__ u64 whole(float weight) { return (u64)(weight * 0x1p40f); }

// Larger is better: the logit's order in the high half, the reversed id in the low one. Never 0.
__device__ __forceinline__ u64 key_of(float x, int id) {
    unsigned bits = __float_as_uint(x + 0.f);  // both zeros are equal
    unsigned order = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return (u64)order << 32 | (unsigned)~id;
}

__device__ __forceinline__ float logit_of(u64 key) {
    unsigned order = key >> 32;
    return __uint_as_float(order & 0x80000000u ? order & 0x7fffffffu : ~order);
}

static const int THREADS = 1024;
static const int WARPS = THREADS / 32;
static const int BINS = THREADS;  // one a thread in scans
static const int LISTED = 1536;
static const float BINS_PER_UNIT = 32.f;

// What a block of sample shares.
struct Shared {
    u64 sums[WARPS];
    unsigned massLow[BINS];
    unsigned massHigh[BINS];
    u64 keys[LISTED];
    u64 weights[LISTED];
    unsigned counts[BINS];
    unsigned warpCounts[WARPS];
    int firstWeak;
    int cutBin;
    unsigned members;
    unsigned before;
    u64 massBefore;
    u64 low;
    u64 high;
    u64 first;
};

// A row and how it is cut.
struct Row {
    const float* logits;
    int n;
    float largest;
    float factor;
    unsigned most;
    u64 mostMass;
    float minP;

    __device__ float weight(float x) const { return exponential(__fmul_rn(__fsub_rn(x, largest), factor)); }
    // Distance from the best in bins; the last takes the rest.
    __device__ int bin(float x) const {
        return (int)fminf(__fmul_rn(__fmul_rn(__fsub_rn(largest, x), factor), BINS_PER_UNIT), BINS - 1.f);
    }
};

// f(logit, id) for every step-th id of [begin, end), several loads under way at once; NaN counts as minus infinity.
template <class F> __device__ __forceinline__ void each(const Row& row, int begin, int end, int step, const F& f) {
    const int DEEP = 8;
    for (int i = begin; i < end; i += DEEP * step) {
        float x[DEEP];
#pragma unroll
        for (int d = 0; d < DEEP; d++) {
            x[d] = i + d * step < end ? row.logits[i + d * step] : 0.f;
        }
#pragma unroll
        for (int d = 0; d < DEEP; d++) {
            if (i + d * step < end) {
                f(x[d] == x[d] ? x[d] : -infinity(), i + d * step);
            }
        }
    }
}

// The same for the whole row, all threads of the block.
template <class F> __device__ __forceinline__ void each(const Row& row, const F& f) {
    each(row, threadIdx.x, row.n, THREADS, f);
}

// Sum over the block in every thread. Begins and ends with a barrier.
__device__ __forceinline__ u64 total_of(u64 x, u64* parts) {
    for (int step = 16; step > 0; step >>= 1) {
        x += __shfl_xor_sync(0xffffffffu, x, step);
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0) {
        parts[threadIdx.x / 32] = x;
    }
    __syncthreads();
    x = parts[threadIdx.x % 32];
    for (int step = 16; step > 0; step >>= 1) {
        x += __shfl_xor_sync(0xffffffffu, x, step);
    }
    __syncthreads();
    return x;
}

template <class T> __device__ __forceinline__ T inclusive(T x) {
    for (int step = 1; step < 32; step <<= 1) {
        T left = __shfl_up_sync(0xffffffffu, x, step);
        x += threadIdx.x % 32 >= step ? left : 0;
    }
    return x;
}

__device__ __forceinline__ void clear(Shared& s) {
    s.counts[threadIdx.x] = 0;
    s.massLow[threadIdx.x] = 0;
    s.massHigh[threadIdx.x] = 0;
    if (threadIdx.x == 0) {
        s.firstWeak = BINS;
        s.cutBin = BINS;
        s.members = 0;
    }
    __syncthreads();
}

__device__ __forceinline__ u64 mass_of(const Shared& s, int bin) { return (u64)s.massHigh[bin] << 32 | s.massLow[bin]; }

__device__ __forceinline__ void count(Shared& s, int bin, float weight, const Row& row) {
    atomicAdd(s.counts + bin, 1u);
    // 64-bit sums of two atomics that the hardware has: whoever makes the low half run over carries.
    u64 units = whole(weight);
    unsigned low = units;
    unsigned carry = low != 0 && atomicAdd(s.massLow + bin, low) > ~low;
    unsigned high = (unsigned)(units >> 32) + carry;
    if (high != 0) {
        atomicAdd(s.massHigh + bin, high);
    }
    if (weight < row.minP) {
        atomicMin(&s.firstWeak, bin);
    }
}

// Finds the bin in which the first token that is cut lies, or after whose last one the cut falls; adds what stands before it
// to before and massBefore. BINS when nothing is cut.
__device__ __forceinline__ int find_cut(Shared& s, const Row& row) {
    __syncthreads();
    int b = threadIdx.x;
    unsigned counted = inclusive(s.counts[b]);
    u64 mass = inclusive(mass_of(s, b));
    if (b % 32 == 31) {
        s.warpCounts[b / 32] = counted;
        s.sums[b / 32] = mass;
    }
    __syncthreads();
    unsigned before = s.before;
    u64 massBefore = s.massBefore;
    for (int w = 0; w < b / 32; w++) {
        before += s.warpCounts[w];
        massBefore += s.sums[w];
    }
    bool whole = before + counted <= row.most && massBefore + mass <= row.mostMass && b < s.firstWeak;
    if (!whole) {
        atomicMin(&s.cutBin, b);
    }
    __syncthreads();
    int cut = s.cutBin;
    if (b == cut) {
        s.before = before + counted - s.counts[b];
        s.massBefore = massBefore + mass - mass_of(s, b);
    }
    __syncthreads();
    return cut;
}

// The key of the first token that is cut among those of the bin, all of which are listed; 0 when none is.
__device__ __forceinline__ u64 first_cut(Shared& s, const Row& row) {
    if (threadIdx.x == 0) {
        s.first = 0;
    }
    __syncthreads();
    int members = s.members;
    for (int m = threadIdx.x; m < members; m += THREADS) {
        u64 key = s.keys[m];
        unsigned before = s.before;
        u64 mass = s.massBefore;
        for (int j = 0; j < members; j++) {
            bool ahead = s.keys[j] > key;
            before += ahead;
            mass += ahead ? s.weights[j] : 0;
        }
        if (before >= row.most || mass > row.mostMass || row.weight(logit_of(key)) < row.minP) {
            atomicMax(&s.first, key);
        }
    }
    __syncthreads();
    return s.first;
}

// The cut: tokens of bins before cutBin stay, of cutBin those with larger keys than the result.
__device__ __forceinline__ u64 cut_of(Shared& s, Row& row, float topP, int& cutBin) {
    if (threadIdx.x == 0) {
        s.before = 0;
        s.massBefore = 0;
    }
    clear(s);
    each(row, [&](float x, int i) { count(s, row.bin(x), row.weight(x), row); });
    __syncthreads();
    u64 total = total_of(mass_of(s, threadIdx.x), s.sums);
    row.mostMass = topP < 1.f ? (u64)__dmul_rn((double)topP, (double)total) : 0x7fffffffffffffffull;
    cutBin = find_cut(s, row);
    if (cutBin == BINS) {
        return 0;
    }
    unsigned inside = s.counts[cutBin];
    // Keys of the bin that are still looked at, both ends included.
    u64 low = 0;
    u64 high = ~0ull;
    while (inside > LISTED) {
        if (threadIdx.x == 0) {
            s.low = ~0ull;
            s.high = 0;
        }
        __syncthreads();
        u64 least = ~0ull;
        u64 largest = 0;
        each(row, [&](float x, int i) {
            u64 key = key_of(x, i);
            if (row.bin(x) == cutBin && key >= low && key <= high) {
                least = min(least, key);
                largest = max(largest, key);
            }
        });
        atomicMin(&s.low, least);
        atomicMax(&s.high, largest);
        __syncthreads();
        low = s.low;
        high = s.high;
        u64 width = (high - low) / BINS + 1;
        clear(s);
        each(row, [&](float x, int i) {
            u64 key = key_of(x, i);
            if (row.bin(x) == cutBin && key >= low && key <= high) {
                count(s, (int)((high - key) / width), row.weight(x), row);
            }
        });
        int cut = find_cut(s, row);
        inside = s.counts[cut];
        high -= cut * width;
        low = max(low, high - min(width - 1, high));
    }
    __syncthreads();
    each(row, [&](float x, int i) {
        u64 key = key_of(x, i);
        if (row.bin(x) == cutBin && key >= low && key <= high) {
            unsigned m = atomicAdd(&s.members, 1u);
            s.keys[m] = key;
            s.weights[m] = whole(row.weight(x));
        }
    });
    __syncthreads();
    u64 first = first_cut(s, row);
    // None among those looked at: the cut falls right behind them.
    return first != 0 ? first : low - (low > 0);
}

// Sums of what [from, to) keeps, a share of the range a warp; what stands before the warp's share and the sum of all.
template <class Kept>
__device__ __forceinline__ u64 shares(u64* parts, const Row& row, int from, int to, int share, const Kept& kept) {
    int begin = from + (int)(threadIdx.x / 32) * share;
    int end = min(to, begin + share);
    u64 sum = 0;
    each(row, begin + (int)threadIdx.x % 32, end, 32, [&](float x, int i) { sum += kept(x, i); });
    for (int step = 16; step > 0; step >>= 1) {
        sum += __shfl_xor_sync(0xffffffffu, sum, step);
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0) {
        parts[threadIdx.x / 32] = sum;
    }
    __syncthreads();
    u64 total = 0;
    for (int w = 0; w < WARPS; w++) {
        total += parts[w];
    }
    return total;
}

// The share in which target lies; takes what stands before it off target.
__device__ __forceinline__ int share_of(const u64* parts, u64& target) {
    int w = 0;
    while (w < WARPS - 1 && target >= parts[w]) {
        target -= parts[w];
        w++;
    }
    return w;
}

// The first token, by id, whose weights up to it exceed the random number's share of all that is kept.
template <class Kept> __device__ __forceinline__ int draw(u64* parts, const Row& row, u64 uniform, const Kept& kept) {
    int share = (row.n + WARPS - 1) / WARPS;
    u64 target = __umul64hi(uniform, shares(parts, row, 0, row.n, share, kept));
    int from = share_of(parts, target) * share;
    int to = min(row.n, from + share);
    int part = (share + WARPS - 1) / WARPS;
    shares(parts, row, from, to, part, kept);
    from += share_of(parts, target) * part;
    to = min(to, from + part);
    if (threadIdx.x >= 32) {
        return -1;
    }
    for (int i = from; i < to; i += 32) {
        int mine = i + threadIdx.x;
        u64 weight = 0;
        each(row, mine, min(to, mine + 1), 1, [&](float x, int id) { weight = kept(x, id); });
        u64 upTo = inclusive(weight);
        unsigned found = __ballot_sync(0xffffffffu, upTo > target);
        if (found != 0) {
            return i + __ffs(found) - 1;
        }
        target -= __shfl_sync(0xffffffffu, upTo, 31);
    }
    return -1;
}

// Ops.sample behind the penalties, a block a row.
extern "C" __global__ void __launch_bounds__(THREADS) sample(const float* logits, i64 stride, const int* parameters, int* out, int n) {
    enter();
    __shared__ Shared s;
    const int* p = parameters + blockIdx.x * COLUMNS;
    Row row;
    row.logits = logits + blockIdx.x * stride;
    row.n = n;
    u64 best = 0;
    each(row, [&](float x, int i) { best = max(best, x > -infinity() ? key_of(x, i) : 0); });
    best = block_max(best);
    row.factor = __int_as_float(p[FACTOR]);
    if (best == 0 || row.factor == 0.f) {
        if (threadIdx.x == 0) {
            out[blockIdx.x] = best == 0 ? -1 : (int)~(unsigned)best;
        }
        return;
    }
    row.largest = logit_of(best);
    float topP = __int_as_float(p[TOP_P]);
    row.minP = __int_as_float(p[MIN_P]);
    row.most = p[TOP_K] > 0 ? p[TOP_K] : 0x7fffffff;
    int cutBin = BINS;
    u64 cut = 0;
    if (topP < 1.f || row.minP > 0.f || row.most < n) {
        cut = cut_of(s, row, topP, cutBin);
    }
    auto kept = [&](float x, int i) -> u64 {
        if (cutBin < BINS) {
            int bin = row.bin(x);
            if (bin > cutBin || bin == cutBin && key_of(x, i) <= cut) {
                return 0;
            }
        }
        return whole(row.weight(x));
    };
    u64 uniform = (u64)(unsigned)p[UNIFORM_HIGH] << 32 | (unsigned)p[UNIFORM_LOW];
    int chosen = draw(s.sums, row, uniform, kept);
    if (threadIdx.x == 0) {
        out[blockIdx.x] = chosen;
    }
}
