/* Long chunks, dealt out while they are worked on: a thread that is done with its own share goes on with others'. Where a
 * machine is shared, one CPU is often much slower than another, and equal shares would wait for it. */
#include "net/net.h"

/* Rows of a piece, some 10 microseconds of work for MNIST, where the chunk is long enough to be dealt. Each piece reads all
 * weights, so they should fit the second-level cache. */
enum { PIECE = 64, LEAST_ROWS = 256, MOST_PARAMETERS = 1 << 17 };

bool mnc_deal_pays(const mnc_model *model, size_t rows, size_t threads) {
    return threads > 1 && rows >= LEAST_ROWS && model->elements <= MOST_PARAMETERS && !model->has_norm;
}

bool mnc_pass_take(const mnc_pass *pass, mnc_phase phase, size_t owner, size_t pieces, size_t *piece) {
    *piece = pass->deal ? atomic_fetch_add_explicit(&pass->deal->share[owner].taken[phase], 1, memory_order_relaxed)
                        : *piece + 1;
    return *piece < pieces;
}

void mnc_pass_put_back(const mnc_pass *pass, mnc_phase phase) {
    if (pass->deal) atomic_store_explicit(&pass->deal->share[pass->thread].taken[phase], 0, memory_order_relaxed);
}

/* The first step's panels are shared out as mnc_pass_update does it, each share in pieces of rows. */
static void deal_first_step(const mnc_pass *pass) {
    const size_t team = pass->team->size, pieces = (pass->rows + PIECE - 1) / PIECE;
    for (size_t i = 0; i < team; i++) {
        const size_t owner = (pass->thread + i) % team;
        size_t panel0, panel1, piece = SIZE_MAX;
        mnc_split(pass->model->steps[0].panels, 1, team, owner, &panel0, &panel1);
        while (mnc_pass_take(pass, MNC_FIRST_STEP, owner, pieces, &piece) && !mnc_pass_stopped(pass)) {
            const size_t row = piece * PIECE, left = pass->rows - row;
            mnc_pass_forward_panels(pass, row, row + (left < PIECE ? left : PIECE), panel0, panel1);
        }
    }
}

/* All other steps, the head and the way back. */
static bool deal_rows(const mnc_pass *pass, size_t from) {
    const size_t team = pass->team->size;
    bool finite = true;
    for (size_t i = 0; i < team; i++) {
        const size_t owner = (pass->thread + i) % team;
        size_t begin, end, piece = SIZE_MAX;
        mnc_split(pass->rows, 16, team, owner, &begin, &end);
        while (mnc_pass_take(pass, MNC_ROWS, owner, (end - begin + PIECE - 1) / PIECE, &piece) &&
               !mnc_pass_stopped(pass)) {
            const size_t row0 = begin + piece * PIECE, row1 = end - row0 < PIECE ? end : row0 + PIECE;
            mnc_pass_forward_rows(pass, from, row0, row1);
            mnc_pass_head_rows(pass, true, NULL, row0, row1);
            finite &= mnc_pass_backward_rows(pass, row0, row1);
        }
    }
    return finite;
}

/* What a phase has taken is put back in another, where no thread can be in the first one: a barrier lies between. */
void mnc_pass_deal(const mnc_pass *pass) {
    const bool by_panels = mnc_step_by_panels(pass, 0), new_weights = pass->first == pass->batch_first;
    if ((new_weights || !by_panels) && !pass->plan->assembled) mnc_team_barrier(pass->team);
    if (by_panels) {
        deal_first_step(pass);
        mnc_team_barrier(pass->team);
    }
    mnc_pass_put_back(pass, MNC_FIRST_STEP);
    mnc_pass_put_back(pass, MNC_UPDATE);
    const bool finite = deal_rows(pass, by_panels ? 1 : 0);
    mnc_pass_penalties(pass);
    mnc_pass_say_finite(pass, finite);
}
