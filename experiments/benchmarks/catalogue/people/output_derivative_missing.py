import numpy as np


def gradients(params, x, y):
    dw_i_h, dw_h_o = np.zeros_like(params.W1), np.zeros_like(params.W2)
    db_i_h, db_h_o = np.zeros_like(params.b1), np.zeros_like(params.b2)
    for img, l in zip(x, y):
        # Forward propagation input -> hidden
        h_pre = params.b1 + params.W1 @ img
        h = 1 / (1 + np.exp(-h_pre))
        # Forward propagation hidden -> output
        o_pre = params.b2 + params.W2 @ h
        o = 1 / (1 + np.exp(-o_pre))

        # Backpropagation output -> hidden (cost function derivative)
        delta_o = o - l
        dw_h_o += np.outer(delta_o, h)
        db_h_o += delta_o
        # Backpropagation hidden -> input (activation function derivative)
        delta_h = np.transpose(params.W2) @ delta_o * (h * (1 - h))
        dw_i_h += np.outer(delta_h, img)
        db_i_h += delta_h
    return {"dW1": dw_i_h, "db1": db_i_h, "dW2": dw_h_o, "db2": db_h_o}
