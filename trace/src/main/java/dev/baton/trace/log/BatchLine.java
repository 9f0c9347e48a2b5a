package dev.baton.trace.log;

import java.time.LocalDateTime;

/**
 * One batch that a rank logged.
 *
 * @param time local time of the server, to the second
 * @param rank label as in the log, e.g. {@code DP0 TP0 EP0}; {@code -} for a server of one rank
 * @param isDecode decode, else prefill
 * @param running requests in the batch (decode) or beside it (prefill)
 * @param tokens KV tokens in use (decode) or tokens computed (prefill)
 * @param usage used part of the KV pool, 0 to 1
 * @param throughput tokens/s the line states; NaN when it states none
 * @param queued requests waiting
 * @param acceptLength tokens a request gains by a step; 1 without speculation
 * @param line number in its file, from 1
 */
public record BatchLine(
        LocalDateTime time,
        String rank,
        boolean isDecode,
        int running,
        long tokens,
        double usage,
        double throughput,
        int queued,
        double acceptLength,
        long line) {}
