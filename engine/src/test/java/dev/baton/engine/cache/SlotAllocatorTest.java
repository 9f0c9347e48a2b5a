package dev.baton.engine.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SlotAllocatorTest {
    /** A sequence of the model: its slots, and how many there are. */
    private static final class Sequence {
        final int[] slots = new int[512];
        int length;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 4, 16})
    void noSlotHasTwoOwnersAndNoneIsLostOverManySeeds(int page) {
        for (int seed = 0; seed < 1_500; seed++) {
            SplittableRandom random = new SplittableRandom(seed * 31L + page);
            SlotAllocator allocator = new SlotAllocator(page * (1 + random.nextInt(40)) + page, page);
            List<Sequence> live = new ArrayList<>();
            for (int op = 0; op < 60; op++) {
                if (live.isEmpty() || random.nextInt(5) == 0) {
                    live.add(new Sequence());
                }
                Sequence s = live.get(random.nextInt(live.size()));
                if (random.nextInt(4) == 0) {
                    int keep = random.nextInt(s.length / page + 1) * page;
                    allocator.free(s.slots, keep, s.length);
                    s.length = keep;
                } else {
                    int to = Math.min(
                            s.slots.length, s.length + 1 + random.nextInt(random.nextBoolean() ? 1 : 3 * page));
                    int needed = allocator.pagesFor(s.length, to);
                    boolean fits = needed <= allocator.freePages();
                    assertThat(allocator.extend(s.slots, s.length, to)).isEqualTo(fits);
                    s.length = fits ? to : s.length;
                }
                check(allocator, live, page);
            }
        }
    }

    private static void check(SlotAllocator allocator, List<Sequence> live, int page) {
        Set<Integer> owned = new HashSet<>();
        int pages = 0;
        for (Sequence s : live) {
            pages += (s.length + page - 1) / page;
            for (int i = 0; i < s.length; i++) {
                int slot = s.slots[i];
                if (slot < page || slot >= page + allocator.totalTokens() || !owned.add(slot)) {
                    throw new AssertionError("slot " + slot + " of position " + i + " is out of range or owned twice");
                }
                if (slot % page != i % page || i % page > 0 && slot != s.slots[i - 1] + 1) {
                    throw new AssertionError("slot " + slot + " does not fit position " + i);
                }
            }
        }
        if (allocator.freeTokens() + pages * page != allocator.totalTokens()) {
            throw new AssertionError(
                    allocator.freeTokens() + " free and " + pages * page + " held of " + allocator.totalTokens());
        }
    }

    @Test
    void givesSlotsFromOneUpToTheCapacity() {
        SlotAllocator ones = new SlotAllocator(5, 1);
        int[] slots = new int[5];
        assertThat(ones.extend(slots, 0, 5)).isTrue();
        assertThat(slots).containsExactly(1, 2, 3, 4, 5);

        SlotAllocator pages = new SlotAllocator(11, 4);
        assertThat(pages.totalTokens()).isEqualTo(8);
        int[] eight = new int[8];
        assertThat(pages.extend(eight, 0, 8)).isTrue();
        assertThat(eight).containsExactly(4, 5, 6, 7, 8, 9, 10, 11);
    }

    @Test
    void refusesASecondFreeAndAFreeInsideAPage() {
        SlotAllocator allocator = new SlotAllocator(64, 4);
        int[] slots = new int[8];
        allocator.extend(slots, 0, 8);
        allocator.free(slots, 4, 8);
        assertThatThrownBy(() -> allocator.free(slots, 4, 8))
                .isInstanceOf(EngineException.class)
                .hasMessageContaining("nobody holds");
        assertThatThrownBy(() -> allocator.free(slots, 2, 4))
                .isInstanceOf(EngineException.class)
                .hasMessageContaining("inside a page");
    }

    @Test
    void refusesAPoolWithoutAPage() {
        assertThatThrownBy(() -> new SlotAllocator(20, 16))
                .isInstanceOf(EngineException.class)
                .hasMessageContaining("--max-total-tokens");
    }

    @Test
    void rowsAreTakenOnceAndFreedOnce() {
        RowPool rows = new RowPool(2);
        int a = rows.take();
        int b = rows.take();
        assertThat(a).isNotEqualTo(b);
        assertThat(rows.take()).isEqualTo(-1);
        rows.free(a);
        assertThat(rows.freeRows()).isEqualTo(1);
        assertThatThrownBy(() -> rows.free(a)).isInstanceOf(EngineException.class);
    }
}
