package dev.baton.bench.schedule;

import dev.baton.bench.CommandLine;
import dev.baton.engine.cache.PrefixCache;
import dev.baton.engine.cache.RadixCache;
import dev.baton.engine.cache.SlotAllocator;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;

/**
 * CPU time to match, and to match and lock and copy the slots, of a long cached prompt in a tree of many prompts. The prompt's
 * path has one edge for each other prompt that branches off it, so edges are the measure of how ragged a tree is.
 *
 * <p>Usage: {@code RadixBench [--tokens N] [--prompts N] [--page N] [--rounds N]}
 */
public final class RadixBench {
    private RadixBench() {}

    public static void main(String[] arguments) {
        List<String> options = Arrays.asList(arguments);
        int tokens = CommandLine.number(options, "--tokens", 4096);
        int prompts = CommandLine.number(options, "--prompts", 1000);
        int rounds = CommandLine.number(options, "--rounds", 9);
        System.out.printf(
                Locale.ROOT,
                "prompts of %d tokens, %d of them in the tree, load average %.2f%n",
                tokens,
                prompts,
                ManagementFactory.getOperatingSystemMXBean().getSystemLoadAverage());
        for (int page : new int[] {1, 16, 64}) {
            for (int edges : new int[] {1, 8, 64}) {
                measure(tokens, prompts, page, edges, rounds);
            }
        }
    }

    /** CPU time of this thread, so that other load counts as little as it can. */
    private static long cpuNanos() {
        return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    }

    private static void measure(int tokens, int prompts, int page, int edges, int rounds) {
        SlotAllocator allocator = new SlotAllocator((prompts + 2) * (tokens + page), page);
        RadixCache cache = new RadixCache(allocator);
        SplittableRandom random = new SplittableRandom(1);
        int[][] all = new int[prompts][];
        for (int p = 0; p < prompts; p++) {
            int[] ids = random.ints(tokens, 0, 32_000).toArray();
            // Prompt p shares p % edges stretches with prompt 0, so prompt 0's path is cut there.
            if (p > 0) {
                System.arraycopy(all[0], 0, ids, 0, p % edges * (tokens / edges));
            }
            all[p] = ids;
            int[] slots = new int[tokens];
            int present = cache.matchedTokens(null, ids, tokens);
            allocator.extend(slots, 0, tokens);
            cache.insert(null, ids, tokens, slots);
            allocator.free(slots, 0, present);
        }
        int[] slots = new int[tokens];
        double[] match = new double[rounds];
        double[] enter = new double[rounds];
        int repeats = 4_000;
        long sink = 0;
        for (int round = 0; round < rounds; round++) {
            long begin = cpuNanos();
            for (int i = 0; i < repeats; i++) {
                sink += cache.match(null, all[i % 2 == 0 ? 0 : i % prompts], tokens)
                        .tokens();
            }
            long middle = cpuNanos();
            for (int i = 0; i < repeats; i++) {
                PrefixCache.Match found = cache.match(null, all[i % 2 == 0 ? 0 : i % prompts], tokens);
                cache.lock(found.node());
                cache.copySlots(found.node(), slots);
                cache.unlock(found.node());
                sink += slots[i % tokens];
            }
            match[round] = (middle - begin) / 1e3 / repeats;
            enter[round] = (cpuNanos() - middle) / 1e3 / repeats;
        }
        Arrays.sort(match);
        Arrays.sort(enter);
        System.out.printf(
                Locale.ROOT,
                "page %2d, %2d edges: match %6.2f us (best %.2f), match + lock + slots + unlock %6.2f us (best %.2f)%s%n",
                page,
                edges,
                match[rounds / 2],
                match[0],
                enter[rounds / 2],
                enter[0],
                sink == 0 ? " " : "");
    }
}
