package dev.baton.protocol.reply;

/** {@code choices[].logprobs} of a chat reply: {@code {"content":[{token,bytes,logprob,top_logprobs}]}}. */
public final class ChatLogprobs {
    private final TokenTexts texts;
    private final JsonBytes content = new JsonBytes(256);

    public ChatLogprobs(TokenTexts texts) {
        this.texts = texts;
    }

    public void add(LogprobPosition position) {
        if (content.length() > 0) {
            content.raw(',');
        }
        token(position.tokenId(), position.logprob());
        content.raw(",\"top_logprobs\":[");
        for (int i = 0; i < position.topIds().length; i++) {
            if (i > 0) {
                content.raw(',');
            }
            token(position.topIds()[i], position.topLogprobs()[i]);
            content.raw('}');
        }
        content.raw("]}");
    }

    private void token(int id, float logprob) {
        content.raw("{\"token\":").string(texts.text(id)).raw(",\"bytes\":[");
        byte[] bytes = texts.bytes(id);
        for (int i = 0; i < bytes.length; i++) {
            if (i > 0) {
                content.raw(',');
            }
            content.number(bytes[i] & 0xFF);
        }
        content.raw("],\"logprob\":").number(logprob);
    }

    /** The object; what was added is forgotten, so that the next chunk holds only what is new. */
    public void writeAndClear(JsonBytes out) {
        out.raw("{\"content\":[").raw(content.array(), 0, content.length()).raw("]}");
        content.clear();
    }
}
