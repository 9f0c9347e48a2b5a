// What flash_hopper.cu attends to: items of 128 query rows, where a block finds its next one, and the warp group that brings their
// queries, keys and values to shared memory. Follows hopper.cuh.

static const int ROWS = 128;   // query rows of an item
static const int ROUND = 128;  // positions of a round
static const int GROUP = 128;  // threads of a warp group
static const int WARPS = 8;    // that multiply

// Named barriers; 0 is the block's.
static const int TURN = 1;  // and 2: whose turn it is at the tensor cores
static const int COPIERS = 3;

// What those who multiply must know of an item; no rounds: there is none left.
struct Item {
    int firstToken;
    int total;   // rows of the sequence
    int before;  // position of the sequence's first new token
    int row0;
    int kvHead;
    int rounds;
};

// Where a block is in the order of tiles: sequences as they come, each from its last tile, which sees most, to its first.
struct Cursor {
    int sequence;
    int tiles;  // of the sequences before

    // Finds tile `order`, not smaller than any asked for before; false behind the last, then `tiles` counts all. A warp's work.
    __device__ __forceinline__ bool find(int order, const int* queryStart, int sequences, int group, int& b, int& tile) {
        int lane = threadIdx.x % 32;
        while (sequence < sequences) {
            int own = sequence + lane;
            int count = own < sequences ? ((queryStart[own + 1] - queryStart[own]) * group + ROWS - 1) / ROWS : 0;
            int end = count;
            for (int step = 1; step < 32; step <<= 1) {
                int left = __shfl_up_sync(0xffffffffu, end, step);
                end += lane >= step ? left : 0;
            }
            unsigned behind = __ballot_sync(0xffffffffu, order < tiles + end);
            if (behind) {
                int at = __ffs(behind) - 1;
                b = sequence + at;
                tile = tiles + __shfl_sync(0xffffffffu, end, at) - 1 - order;
                return true;
            }
            tiles += __shfl_sync(0xffffffffu, end, 31);
            sequence += 32;
        }
        return false;
    }
};

// Arrives at the barrier when this thread's copies so far have.
__device__ __forceinline__ void barrier_arrive_copied(unsigned barrier) {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
}

template <int N> __device__ __forceinline__ void pin(unsigned (&d)[N][4]) {
#pragma unroll
    for (int i = 0; i < N; i++) {
        asm volatile("" : "+r"(d[i][0]), "+r"(d[i][1]), "+r"(d[i][2]), "+r"(d[i][3])::"memory");
    }
}

template <int KD, int VD> struct Sizes {
    static const int QUERY_BYTES = ROWS * KD * 2;
    static const int KEY_BYTES = ROUND * KD * 2;
    static const int VALUE_BYTES = ROUND * VD * 2;
    // Rounds in shared memory: as many as there is room for.
    static const int KEY_STAGES = KD == 192 ? 2 : 3;
    static const int VALUE_STAGES = 2;
    static const int BYTES = QUERY_BYTES + KEY_STAGES * KEY_BYTES + VALUE_STAGES * VALUE_BYTES;
};

// Shared addresses. A tile of rows is a row of tiles with 64 columns each, as matrix() wants them.
template <int KD, int VD> struct Room {
    unsigned queries;
    unsigned keys;
    unsigned values;
    unsigned barriers;

    static const int KS = Sizes<KD, VD>::KEY_STAGES;
    static const int VS = Sizes<KD, VD>::VALUE_STAGES;

    __device__ __forceinline__ unsigned key(int r) const { return keys + r % KS * Sizes<KD, VD>::KEY_BYTES; }
    __device__ __forceinline__ unsigned value(int r) const { return values + r % VS * Sizes<KD, VD>::VALUE_BYTES; }
    __device__ __forceinline__ unsigned query_full() const { return barriers; }
    __device__ __forceinline__ unsigned query_empty() const { return barriers + 8; }
    __device__ __forceinline__ unsigned key_full(int r) const { return barriers + 16 + 8 * (r % KS); }
    __device__ __forceinline__ unsigned key_empty(int r) const { return barriers + 16 + 8 * (KS + r % KS); }
    __device__ __forceinline__ unsigned value_full(int r) const { return barriers + 16 + 8 * (2 * KS + r % VS); }
    __device__ __forceinline__ unsigned value_empty(int r) const { return barriers + 16 + 8 * (2 * KS + VS + r % VS); }
    // Parities of the full barriers at a round; the empty ones' is the other.
    __device__ __forceinline__ static unsigned key_parity(int r) { return r / KS & 1; }
    __device__ __forceinline__ static unsigned value_parity(int r) { return r / VS & 1; }
};

struct Input {
    const bf16* q;
    i64 qStride;
    const bf16* keys;
    i64 keyStride;
    const bf16* values;
    i64 valueStride;
    const int* queryStart;
    const int* contextLengths;
    const int* tableRows;
    const int* slotTable;
    i64 slotStride;
    int* counter;
    bf16* out;
    i64 outStride;
    int sequences;
    int heads;
    int kvHeads;
    float scale;
};

// Eight threads copy 64 columns of a row, sixteen rows at once.
static const int AT_ONCE = GROUP / 8;
static const int EACH = ROUND / AT_ONCE;

// One multiplication, not the four of 64-bit factors: whoever copies takes cycles from those who multiply.
__device__ __forceinline__ const bf16* row_at(const bf16* base, int slot, i64 stride) {
    return (const bf16*)((const char*)base + (i64)slot * (int)(stride * 2));
}

template <int WIDTH>
__device__ __forceinline__ void copy_row(unsigned tile, int row, const bf16* from) {
    int chunk = threadIdx.x % 8;
    // spot<128> of rows that are 16 apart: their chunks change places alike.
    unsigned to = tile + row * 128 + ((chunk ^ (threadIdx.x / 8 & 7)) << 4);
#pragma unroll
    for (int i = 0; i < WIDTH / 64; i++) {
        copy_async(to + i * ROUND * 128, from + i * 64 + chunk * 8);
    }
}

template <int KD, int VD> __device__ __forceinline__ void bring(const Input& in, const Room<KD, VD>& room, Item* told) {
    __shared__ int drawn[2];
    int group = in.heads / in.kvHeads;
    int first = threadIdx.x / 8;
    Cursor cursor = {0, 0};
    int item = blockIdx.x;
    int round = 0;  // over all items
    for (int n = 0;; n++) {
        int b;
        int tile;
        bool found = cursor.find(item / in.kvHeads, in.queryStart, in.sequences, group, b, tile);
        if (!found) {
            if (threadIdx.x == 0) {
                // Blocks draw as many numbers as there are items: the last of them leaves zero.
                if (n > 0 && item - (int)gridDim.x == cursor.tiles * in.kvHeads - 1) {
                    *in.counter = 0;
                }
            }
            barrier_wait(room.query_empty(), n & 1 ^ 1);
            if (threadIdx.x == 0) {
                told->rounds = 0;
                barrier_arrive(room.query_full());
            }
            barrier_arrive_copied(room.query_full());
            return;
        }
        int next = 0;
        if (threadIdx.x == 0) {
            next = gridDim.x + atomicAdd(in.counter, 1);
        }
        int kvHead = item % in.kvHeads;
        int firstToken = in.queryStart[b];
        int count = in.queryStart[b + 1] - firstToken;
        int total = count * group;
        int before = in.contextLengths[b] - count;
        int row0 = tile * ROWS;
        int visible = before + (min(total, row0 + ROWS) - 1) / group + 1;
        int rounds = (visible + ROUND - 1) / ROUND;
        const int* table = in.slotTable + (i64)in.tableRows[b] * in.slotStride;

        // Slots are read ahead. Behind the end the last row stands in: its weight is zero, and it is finite.
        int slots[EACH];
        int ahead[EACH];
        auto find = [&](int (&to)[EACH], int r) {
#pragma unroll
            for (int j = 0; j < EACH; j++) {
                to[j] = table[min(r * ROUND + first + j * AT_ONCE, visible - 1)];
            }
        };
        find(slots, 0);
        find(ahead, 1);
        barrier_wait(room.query_empty(), n & 1 ^ 1);
        if (threadIdx.x == 0) {
            *told = {firstToken, total, before, row0, kvHead, rounds};
            barrier_arrive(room.query_full());
        }
#pragma unroll
        for (int j = 0; j < ROWS / AT_ONCE; j++) {
            int row = first + j * AT_ONCE;
            int from = min(row0 + row, total - 1);
            copy_row<KD>(room.queries, row,
                         in.q + (firstToken + from / group) * in.qStride + (i64)(kvHead * group + from % group) * KD);
        }
        barrier_arrive_copied(room.query_full());
        const bf16* keys = in.keys + (i64)kvHead * KD;
        const bf16* values = in.values + (i64)kvHead * VD;
        auto bring_keys = [&](const int (&from)[EACH], int r) {
            barrier_wait(room.key_empty(r), room.key_parity(r) ^ 1);
#pragma unroll
            for (int j = 0; j < EACH; j++) {
                copy_row<KD>(room.key(r), first + j * AT_ONCE, row_at(keys, from[j], in.keyStride));
            }
            barrier_arrive_copied(room.key_full(r));
        };
        // Keys are wanted a round earlier than values.
        bring_keys(slots, round);
        for (int r = 1; r <= rounds; r++, round++) {
            if (r < rounds) {
                bring_keys(ahead, round + 1);
            }
            barrier_wait(room.value_empty(round), room.value_parity(round) ^ 1);
#pragma unroll
            for (int j = 0; j < EACH; j++) {
                copy_row<VD>(room.value(round), first + j * AT_ONCE, row_at(values, slots[j], in.valueStride));
                slots[j] = ahead[j];
            }
            barrier_arrive_copied(room.value_full(round));
            if (r + 1 < rounds) {
                find(ahead, r + 1);
            }
        }
        if (threadIdx.x == 0) {
            drawn[n & 1] = next;
        }
        named_barrier(COPIERS, GROUP);
        item = drawn[n & 1];
    }
}
