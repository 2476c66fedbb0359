"""Wrote model-v1.safetensors and model-v1.json, once: every later version must read that file as this one did.

Neither is ever renewed. A new version of the format gets a script and a file of its own.
"""

import json
from pathlib import Path

import numpy as np

import mnist_c as mc
from mnist_c import reference, saving

FOLDER = Path(__file__).parent


def words(seed: int, *shape: int) -> np.ndarray:
    """Random uint32 of that shape, the same for ever."""
    n = int(np.prod(shape))
    return reference.philox4x32(np.arange(-(-n // 4)), 0, 0, 97, seed).reshape(-1)[:n].reshape(shape)


def main() -> None:
    pixels, labels = (words(1, 60, 4, 4) % 256).astype(np.uint8), words(2, 60) % 3
    model = mc.Sequential(
        [
            mc.Rescaling(1 / 127.5, offset=-1, input_shape=(4, 4)),
            mc.Flatten(),
            mc.Dense(7, kernel_initializer=mc.VarianceScaling(2.0, "fan_avg", "uniform"), use_bias=False),
            mc.BatchNormalization(momentum=0.9),
            mc.LeakyReLU(0.1),
            mc.Dropout(0.25),
            mc.Dense(5, activation="tanh", kernel_initializer="he_normal", kernel_regularizer=mc.L1L2(1e-4, 1e-3)),
            mc.Dense(3, activation="softmax", bias_initializer=mc.Constant(0.5), name="digits"),
        ],
        seed=2**63 + 1,
        name="version one",
        reduce_rows=32,
    )
    model.class_names = ["zero", "eins", "二"]
    loss = mc.SparseCategoricalCrossentropy(label_smoothing=0.1)
    model.fit(
        pixels, labels, batch_size=16, epochs=3, loss=loss, optimizer=mc.Adam(mc.CosineDecay(0.02, 40, 0.1)), verbose=0
    )
    with open(FOLDER / "model-v1.json", "x", encoding="utf-8") as file:
        expected = {
            "weights_hash": model.weights_hash(),
            "pixels": pixels[:4].tolist(),
            "probabilities": model.predict(pixels[:4]).astype(float).tolist(),
            "layers": [str(layer) for layer in model.layers],
            "seed": model.seed,
            "optimizer": model.optimizer.get_config(),
            "loss": model.loss.get_config(),
            "class_names": model.class_names,
            "progress": model._state.network.progress(),
        }
        json.dump(expected, file, indent=1, ensure_ascii=False)
        file.write("\n")
    saving.save_model(model, FOLDER / "model-v1.safetensors")


if __name__ == "__main__":
    main()
