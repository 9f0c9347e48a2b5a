package dev.baton.engine.node;

import dev.baton.engine.balance.NodePass;
import dev.baton.engine.balance.NodePass.RankPass;
import dev.baton.trace.expert.ExpertWriter;
import java.util.Arrays;

/** How a {@link NodePass} travels to node 0. */
final class PassCodec {
    private PassCodec() {}

    static void write(WireBuffer out, NodePass pass) {
        out.putLong(pass.pass());
        out.putLong(pass.recording());
        out.putInt(pass.ranks());
        ints(out, pass.logical());
        out.putList(Arrays.asList(pass.ofRank()), out::putLongs);
        out.putList(pass.ofRanks(), rank -> {
            out.putInt(rank.rank());
            out.putLong(rank.pass().pass());
            ints(out, rank.pass().physical());
            out.putNullable(rank.pass().tokens(), tokens -> write(out, tokens));
            out.putInts(rank.layers());
            ints(out, rank.maps());
        });
    }

    private static void write(WireBuffer out, ExpertWriter.Tokens tokens) {
        out.putInts(tokens.inputIds());
        out.putInts(tokens.positions());
        out.putInts(tokens.extendLengths());
        out.putText(tokens.mode());
        out.putList(Arrays.asList(tokens.chosen()), layer -> ints(out, layer));
    }

    private static void ints(WireBuffer out, int[][] rows) {
        out.putList(Arrays.asList(rows), out::putInts);
    }

    static NodePass read(WireBuffer in) {
        return new NodePass(
                in.longValue(),
                in.longValue(),
                in.intValue(),
                ints(in),
                in.list(in::longs).toArray(long[][]::new),
                in.list(() -> rank(in)));
    }

    private static RankPass rank(WireBuffer in) {
        int rank = in.intValue();
        long pass = in.longValue();
        int[][] physical = ints(in);
        ExpertWriter.Tokens tokens =
                in.nullable(() -> new ExpertWriter.Tokens(in.ints(), in.ints(), in.ints(), in.text(), chosen(in)));
        return new RankPass(rank, new ExpertWriter.Pass(pass, physical, tokens), in.ints(), ints(in));
    }

    private static int[][][] chosen(WireBuffer in) {
        return in.list(() -> ints(in)).toArray(int[][][]::new);
    }

    private static int[][] ints(WireBuffer in) {
        return in.list(in::ints).toArray(int[][]::new);
    }
}
