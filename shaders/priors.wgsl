// The boxes of one level of a layer `anchors`, of one size: cx, cy, w, h as shares of the network's input. And the cells of
// the boxes of one level, of all sizes: column, row, w, h.
#import step

override COLUMNS: u32 = 1u;  // columns of the grid
override CELLS: u32 = 1u;    // its cells
override START: u32 = 0u;    // the number of the first box
override BOXES: u32 = 1u;    // boxes of a cell
override CELL_W: f32 = 1.0;  // from one column to the next
override CELL_H: f32 = 1.0;  // from one row to the next
override BOX_W: f32 = 1.0;
override BOX_H: f32 = 1.0;
override OFFSET: f32 = 0.5;  // where in its cell a box has its middle
override CLIP: u32 = 0u;     // 1 clips all four numbers to 0…1

@group(0) @binding(1) var<storage, read_write> priors: array<vec4<f32>>;

// One invocation writes one box.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    if i < CELLS {
        let cell = vec2<f32>(f32(i % COLUMNS), f32(i / COLUMNS)) + OFFSET;
        let prior = vec4<f32>(cell * vec2<f32>(CELL_W, CELL_H), BOX_W, BOX_H);
        priors[START + i * BOXES] = select(prior, clamp(prior, vec4<f32>(0.0), vec4<f32>(1.0)), CLIP == 1u);
    }
}

@group(0) @binding(1) var<storage, read_write> cells: array<vec4<f32>>;

// One invocation writes the cell of one box.
@compute @workgroup_size(WG)
fn cell(id: Invocation) {
    let i = flat_index(id);
    if i < CELLS * BOXES {
        let at = i / BOXES;
        cells[START + i] = vec4<f32>(f32(at % COLUMNS), f32(at / COLUMNS), CELL_W, CELL_H);
    }
}
