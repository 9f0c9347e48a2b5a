package dev.baton.engine.schedule;

import dev.baton.protocol.SamplingParams;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * A model whose KV at a position is a hash of all tokens up to it, and whose next token is a hash of all KV: whatever a
 * wrong slot, prefix or row would read changes the answer.
 */
final class FakeModel {
    final int vocabulary;

    FakeModel(int vocabulary) {
        this.vocabulary = vocabulary;
    }

    long kv(long before, int id, int position) {
        return mix(before * 31 + id * 1_000_003L + position);
    }

    int next(long sum) {
        return (int) Math.floorMod(mix(sum), (long) vocabulary);
    }

    static long mix(long value) {
        long z = (value ^ value >>> 30) * 0xBF58476D1CE4E5B9L;
        z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
        return z ^ z >>> 31;
    }

    /** What the engine must answer, computed without any cache. */
    List<Integer> answer(int[] prompt, SamplingParams sampling, Set<Integer> endTokenIds) {
        long before = 0;
        long sum = 0;
        int position = 0;
        for (int id : prompt) {
            before = kv(before, id, position++);
            sum += before;
        }
        List<Integer> answer = new ArrayList<>();
        while (answer.size() < sampling.maxNewTokens()) {
            int id = next(sum);
            answer.add(id);
            boolean stop = endTokenIds.contains(id) || sampling.stopTokenIds().contains(id);
            if (stop && !sampling.ignoreEos() && answer.size() > sampling.minNewTokens()) {
                break;
            }
            before = kv(before, id, position++);
            sum += before;
        }
        return answer;
    }
}
