package dev.baton.engine.arch;

import dev.baton.tensor.Tensor;

/**
 * Sends tokens to the ranks that hold their experts and brings the experts' results back. Each way has two halves: the
 * first begins it, the second waits, and what is called between them overlaps. Every rank of the experts' group calls the
 * same sequence, also one without tokens.
 */
interface Dispatcher {
    /**
     * Begins to send.
     *
     * @param x [T, hidden]
     * @param ids I32 [T, topK]: physical slots, -1 for none
     * @param weights F32 [T, topK]
     */
    Flight dispatchA(ForwardContext context, Tensor x, Tensor ids, Tensor weights);

    /** One layer's tokens on their way, from {@link #dispatchA} to {@link #combineB}. */
    interface Flight {
        /** Waits for what the other ranks send. */
        Received dispatchB();

        /** Begins to send results back: each received row's weighted sum over this rank's experts. */
        void combineA(Tensor results);

        /**
         * Waits for the results of this rank's tokens and adds them up, in the order of the ranks.
         *
         * @param out [T, hidden], overwritten
         */
        void combineB(Tensor out);
    }

    /**
     * What this rank computes.
     *
     * @param x [R, hidden]
     * @param ids I32 [R, topK]: physical slots; -1 where another rank computes, or the row has no content
     * @param weights F32 [R, topK]
     * @param results [R, hidden]: room for the results
     */
    record Received(Tensor x, Tensor ids, Tensor weights, Tensor results) {}
}
