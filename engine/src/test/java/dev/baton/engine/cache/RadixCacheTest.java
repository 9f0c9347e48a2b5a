package dev.baton.engine.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RadixCacheTest {
    private static final String[] SALTS = {null, "a", "b"};

    /** A lock that the model and the tree hold for the same path. */
    private record Held(CacheNode node, List<PageTrie.Page> path) {}

    @ParameterizedTest
    @ValueSource(ints = {1, 4, 16})
    void doesWhatAPlainTrieDoesOverManySeeds(int page) {
        for (int seed = 0; seed < 1_500; seed++) {
            new Run(page, seed).run();
        }
    }

    private static final class Run {
        final int page;
        final SplittableRandom random;
        final SlotAllocator allocator;
        final RadixCache cache;
        final PageTrie model;
        final List<Held> held = new ArrayList<>();
        final List<int[]> prompts = new ArrayList<>();

        Run(int page, int seed) {
            this.page = page;
            this.random = new SplittableRandom(seed * 1_000_003L + page);
            this.allocator = new SlotAllocator(page * (8 + random.nextInt(60)) + page, page);
            this.cache = new RadixCache(allocator);
            this.model = new PageTrie(page);
        }

        void run() {
            for (int op = 0; op < 50; op++) {
                String salt = SALTS[random.nextInt(8) == 0 ? 1 + random.nextInt(2) : 0];
                switch (random.nextInt(6)) {
                    case 0, 1 -> insert(salt, prompt());
                    case 2 -> match(salt, prompt());
                    case 3 -> lock(salt, prompt());
                    case 4 -> unlock();
                    default -> evict();
                }
                check();
            }
            while (!held.isEmpty()) {
                unlock();
            }
            check();
            assertThat(cache.protectedTokens()).isZero();
            cache.clear();
            assertThat(allocator.freeTokens()).isEqualTo(allocator.totalTokens());
            assertThat(cache.evictableTokens()).isZero();
        }

        /** New, or a changed continuation of an old one, so that edges are shared, split and extended. */
        int[] prompt() {
            int length = random.nextInt(1, 12 * page);
            int[] ids = new int[length];
            for (int i = 0; i < length; i++) {
                ids[i] = random.nextInt(3);
            }
            if (!prompts.isEmpty() && random.nextInt(4) != 0) {
                int[] old = prompts.get(random.nextInt(prompts.size()));
                System.arraycopy(old, 0, ids, 0, random.nextInt(Math.min(old.length, length) + 1));
            }
            prompts.add(ids);
            return ids;
        }

        void insert(String salt, int[] ids) {
            int tokens = random.nextInt(ids.length + 1);
            int[] slots = new int[ids.length];
            int missing = tokens - allocator.freeTokens();
            cache.evict(missing);
            model.evict(missing);
            if (!allocator.extend(slots, 0, tokens)) {
                return;
            }
            int before = model.match(salt, ids, tokens, false).size() * page;
            PrefixCache.Inserted inserted = cache.insert(salt, ids, tokens, slots);
            List<PageTrie.Page> path = model.insert(salt, ids, tokens, slots);
            int aligned = tokens / page * page;
            assertThat(inserted.presentTokens()).isEqualTo(before);
            assertThat(inserted.insertedTokens()).isEqualTo(aligned);
            assertThat(inserted.node() == null ? 0 : inserted.node().depth()).isEqualTo(aligned);
            allocator.free(slots, 0, before);
            allocator.free(slots, aligned, tokens);
            sameSlots(inserted.node(), path);
        }

        void match(String salt, int[] ids) {
            int expected = model.match(salt, ids, ids.length, false).size() * page;
            assertThat(cache.matchedTokens(salt, ids, ids.length)).isEqualTo(expected);
            PrefixCache.Match match = cache.match(salt, ids, ids.length);
            List<PageTrie.Page> path = model.match(salt, ids, ids.length, true);
            assertThat(match.tokens()).isEqualTo(expected);
            sameSlots(match.node(), path);
        }

        void lock(String salt, int[] ids) {
            CacheNode node = cache.match(salt, ids, ids.length).node();
            List<PageTrie.Page> path = model.match(salt, ids, ids.length, true);
            cache.lock(node);
            path.forEach(p -> p.locks++);
            held.add(new Held(node, path));
        }

        void unlock() {
            if (!held.isEmpty()) {
                Held lock = held.remove(random.nextInt(held.size()));
                cache.unlock(lock.node());
                lock.path().forEach(p -> p.locks--);
            }
        }

        void evict() {
            int tokens = random.nextInt(6 * page);
            assertThat(cache.evict(tokens)).isEqualTo(model.evict(tokens));
        }

        void sameSlots(CacheNode node, List<PageTrie.Page> path) {
            int[] slots = new int[path.size() * page];
            cache.copySlots(node, slots);
            for (int i = 0; i < path.size(); i++) {
                int at = i * page;
                if (!Arrays.equals(path.get(i).slots, 0, page, slots, at, at + page)) {
                    throw new AssertionError("page " + i + " differs");
                }
            }
        }

        void check() {
            int locked = 0;
            int free = 0;
            for (PageTrie.Page p : model.all()) {
                if (p.locks > 0) {
                    locked += page;
                } else {
                    free += page;
                }
                for (int slot : p.slots) {
                    if (allocator.isFreeSlot(slot)) {
                        throw new AssertionError("cached slot " + slot + " is in the free list");
                    }
                }
            }
            if (cache.evictableTokens() != free || cache.protectedTokens() != locked) {
                throw new AssertionError("evictable " + cache.evictableTokens() + "/" + free + ", protected "
                        + cache.protectedTokens() + "/" + locked);
            }
            assertThat(allocator.freeTokens() + free + locked).isEqualTo(allocator.totalTokens());
            cache.forEachNode(node -> {
                if (node.length == 0 || node.length % page != 0 || node.depth < node.length) {
                    throw new AssertionError("node of " + node.length + " tokens at depth " + node.depth);
                }
            });
        }
    }

    @Test
    void saltsSeparateEqualPrompts() {
        SlotAllocator allocator = new SlotAllocator(32, 1);
        RadixCache cache = new RadixCache(allocator);
        int[] ids = {1, 2, 3};
        int[] slots = new int[3];
        allocator.extend(slots, 0, 3);
        cache.insert("tenant", ids, 3, slots);
        assertThat(cache.matchedTokens(null, ids, 3)).isZero();
        assertThat(cache.matchedTokens("other", ids, 3)).isZero();
        assertThat(cache.matchedTokens("tenant", ids, 3)).isEqualTo(3);
    }

    @Test
    void evictsTheLeastRecentlyUsedFromItsEnd() {
        SlotAllocator allocator = new SlotAllocator(32, 1);
        RadixCache cache = new RadixCache(allocator);
        insert(allocator, cache, 1, 2, 3, 4);
        insert(allocator, cache, 5, 6, 7, 8);
        cache.match(null, new int[] {1, 2, 3, 4}, 4);
        cache.evict(2);
        assertThat(cache.matchedTokens(null, new int[] {5, 6, 7, 8}, 4)).isEqualTo(2);
        assertThat(cache.matchedTokens(null, new int[] {1, 2, 3, 4}, 4)).isEqualTo(4);
    }

    @Test
    void neverEvictsOrFlushesWhatIsLocked() {
        SlotAllocator allocator = new SlotAllocator(32, 1);
        RadixCache cache = new RadixCache(allocator);
        insert(allocator, cache, 1, 2, 3, 4);
        CacheNode node = cache.match(null, new int[] {1, 2}, 2).node();
        cache.lock(node);
        assertThat(cache.evict(100)).isEqualTo(2);
        assertThatThrownBy(cache::clear).isInstanceOf(EngineException.class);
        cache.unlock(node);
        assertThatThrownBy(() -> cache.unlock(node)).isInstanceOf(EngineException.class);
    }

    private static void insert(SlotAllocator allocator, RadixCache cache, int... ids) {
        int[] slots = new int[ids.length];
        allocator.extend(slots, 0, ids.length);
        cache.insert(null, ids, ids.length, slots);
    }
}
